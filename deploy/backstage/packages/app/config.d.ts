export interface Config {
  auth?: {
    providers?: {
      demo?: {
        /**
         * Who may sign in, in the order in which the sign-in page offers them.
         * @deepVisibility frontend
         */
        people?: Array<{
          /** Name of a User in the catalog's default namespace. */
          user: string;
          /** How the person is called. */
          name: string;
          /** The team, as shown. */
          team: string;
          /** What this person does here, in one short sentence. */
          role?: string;
        }>;
      };
    };
  };
}
