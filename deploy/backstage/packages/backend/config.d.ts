export interface Config {
  auth?: {
    providers?: {
      demo?: {
        /** Must be true for the portal to start: anyone who reaches it may sign in as any of the people. */
        dangerouslyAllowDemoSignIn?: boolean;
      };
    };
  };
}
