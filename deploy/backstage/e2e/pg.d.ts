/** What the tests use of node-postgres, which comes without types. */
declare module 'pg' {
  class Client {
    constructor(options: {
      host: string;
      port: number;
      database: string;
      user: string;
      password: string;
      connectionTimeoutMillis?: number;
    });
    connect(): Promise<void>;
    query(statement: string): Promise<{ rows: Record<string, unknown>[] }>;
    end(): Promise<void>;
  }
  const pg: { Client: typeof Client };
  export default pg;
}
