import { readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { readSite } from './stage.ts';

/** Credentials are what the Status tab shows. */
export type Credentials = { host: string; port: number; database: string; user: string; password: string };

/** query connects as somebody, runs one statement after the other, and returns the last one's rows. */
export async function query(credentials: Credentials, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...credentials, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) {
      ({ rows } = await client.query(statement));
    }
    return rows;
  } finally {
    await client.end();
  }
}

/** administer runs one statement as the administrator of the server where databases are made: nobody tells Roadbed. */
export function administer(data: string, statement: string): Promise<Record<string, unknown>[]> {
  const admin = {
    host: '127.0.0.1',
    port: readSite(data).databases_port,
    database: 'postgres',
    user: 'roadbed',
    password: readFileSync(path.join(data, 'databases', 'password'), 'utf8'),
  };
  return query(admin, statement);
}

/** databaseNames are the databases of the server where they are made. */
export async function databaseNames(data: string): Promise<string[]> {
  const rows = await administer(data, 'SELECT datname FROM pg_database WHERE NOT datistemplate');
  return rows.map(row => String(row.datname));
}
