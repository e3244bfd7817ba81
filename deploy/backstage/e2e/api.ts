import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { baseUrl } from './browser.ts';
import type { components } from '../plugins/roadbed/src/api/schema.gen.ts';

type Schemas = components['schemas'];
export type InfrastructureRequest = Schemas['Request'];
export type Event = { type: string; at: string; data: Record<string, unknown> };

/** An answer of the portal, whatever its status. */
export type Answer = { status: number; body: any };

/** Caller asks the portal's API as one person, as the pages do: through the gateway, with the person's own token. */
export class Caller {
  readonly #token: string;

  private constructor(token: string) {
    this.#token = token;
  }

  /** signIn makes a caller; `user` is "ann", "ben" or "pat". Its token is good for an hour. */
  static async signIn(user: string): Promise<Caller> {
    const response = await fetch(`${baseUrl()}/api/auth/demo/refresh`, { headers: { 'x-demo-user': user } });
    assert.equal(response.status, 200, `sign in as ${user}`);
    const { backstageIdentity } = await response.json();
    return new Caller(backstageIdentity.token);
  }

  async get(path: string): Promise<Answer> {
    return this.#call(path, {});
  }

  async post(path: string, body: unknown = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
    return this.#call(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** requests are this person's own requests for a name, newest first. */
  async requests(name: string): Promise<InfrastructureRequest[]> {
    const { status, body } = await this.get('/api/roadbed/requests?mine=true&limit=50');
    assert.equal(status, 200, JSON.stringify(body));
    return body.items.filter((request: InfrastructureRequest) => request.name === name);
  }

  /** events are what has happened to a request, oldest first. */
  async events(id: string): Promise<Event[]> {
    const { status, body } = await this.get(`/api/roadbed/requests/${id}/events`);
    assert.equal(status, 200, JSON.stringify(body));
    return body.items;
  }

  /** hasEntity says whether the catalog has an entity; `ref` is "resource:dev/orders.postgres-database". */
  async hasEntity(ref: string): Promise<boolean> {
    const { status } = await this.get(`/api/catalog/entities/by-name/${ref.replace(':', '/')}`);
    return status === 200;
  }

  async #call(path: string, init: RequestInit): Promise<Answer> {
    const response = await fetch(`${baseUrl()}${path}`, {
      ...init,
      headers: { accept: 'application/json', authorization: `Bearer ${this.#token}`, ...init.headers },
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return { status: response.status, body: parse(text) };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
