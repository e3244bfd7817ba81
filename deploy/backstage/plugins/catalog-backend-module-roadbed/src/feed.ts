import type { AuthService, DiscoveryService } from '@backstage/backend-plugin-api';
import type { Entity } from '@backstage/catalog-model';
import { NotFoundError, ResponseError } from '@backstage/errors';
import { z } from 'zod';

/** The server holds a request for changes up to 20 s; what takes longer than this has been forgotten on the way. */
const CHANGES_WITHIN_MS = 40_000;
const ENTITIES_WITHIN_MS = 60_000;

const entity = z.custom<Entity>(
  value => z.object({ apiVersion: z.string(), kind: z.string(), metadata: z.object({ name: z.string() }) }).safeParse(value).success,
  'not an entity',
);

const snapshotSchema = z.object({ entities: z.array(entity), cursor: z.string(), complete: z.boolean() });
const changesSchema = z.object({ added: z.array(entity), removed: z.array(z.string()), cursor: z.string() });

/** Everything there is. What is absent from it is gone, but only when it is complete. */
export type Snapshot = z.infer<typeof snapshotSchema>;

/** What happened since a cursor: entities new or changed, and references of those that are gone. */
export type Changes = z.infer<typeof changesSchema>;

/** CursorExpiredError says that Roadbed no longer keeps the changes since a cursor: read everything again. */
export class CursorExpiredError extends NotFoundError {}

/** RoadbedFeed reads Roadbed's entities, as the catalog plugin. */
export class RoadbedFeed {
  readonly #auth: AuthService;
  readonly #discovery: DiscoveryService;

  constructor(options: { auth: AuthService; discovery: DiscoveryService }) {
    this.#auth = options.auth;
    this.#discovery = options.discovery;
  }

  /** snapshot reads all entities. */
  async snapshot(signal: AbortSignal): Promise<Snapshot> {
    return snapshotSchema.parse(await this.#get('/entities', ENTITIES_WITHIN_MS, signal));
  }

  /** changes waits up to 20 s for something to happen after `cursor`. It throws CursorExpiredError when that is too long ago. */
  async changes(cursor: string, signal: AbortSignal): Promise<Changes> {
    const path = `/entities/changes?after=${encodeURIComponent(cursor)}`;
    return changesSchema.parse(await this.#get(path, CHANGES_WITHIN_MS, signal));
  }

  async #get(path: string, withinMs: number, signal: AbortSignal): Promise<unknown> {
    const { token } = await this.#auth.getPluginRequestToken({
      onBehalfOf: await this.#auth.getOwnServiceCredentials(),
      targetPluginId: 'roadbed',
    });
    const response = await fetch(`${await this.#discovery.getBaseUrl('roadbed')}${path}`, {
      headers: { accept: 'application/json', authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
    });
    if (response.status === 410) {
      await response.body?.cancel();
      throw new CursorExpiredError('Roadbed no longer keeps changes since this cursor');
    }
    if (!response.ok) {
      throw await ResponseError.fromResponse(response);
    }
    return response.json();
  }
}
