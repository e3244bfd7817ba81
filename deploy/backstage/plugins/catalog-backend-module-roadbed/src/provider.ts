import { setTimeout as sleep } from 'node:timers/promises';
import type { LoggerService } from '@backstage/backend-plugin-api';
import { ANNOTATION_LOCATION, ANNOTATION_ORIGIN_LOCATION, type Entity } from '@backstage/catalog-model';
import type { EntityProvider, EntityProviderConnection } from '@backstage/plugin-catalog-node';
import { CursorExpiredError, type RoadbedFeed } from './feed.ts';

const FULL_EVERY_MS = 10 * 60_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

export type RoadbedEntityProviderOptions = {
  feed: Pick<RoadbedFeed, 'snapshot' | 'changes'>;
  logger: LoggerService;
  /** Tells several Roadbeds in one catalog apart; part of the location key. */
  instance: string;
  /** Milliseconds between full reads. */
  fullEveryMs?: number;
  /** Milliseconds before the first new try after a failure; doubles with each further one. */
  firstWaitMs?: number;
};

/**
 * RoadbedEntityProvider keeps the catalog in step with Roadbed: everything at the start and every ten minutes, and each
 * change as it happens. A failed or incomplete read changes nothing in the catalog.
 */
export class RoadbedEntityProvider implements EntityProvider {
  readonly #options: Required<RoadbedEntityProviderOptions>;
  readonly #locationKey: string;
  #connection?: EntityProviderConnection;

  constructor(options: RoadbedEntityProviderOptions) {
    this.#options = {
      ...options,
      fullEveryMs: options.fullEveryMs ?? FULL_EVERY_MS,
      firstWaitMs: options.firstWaitMs ?? FIRST_WAIT_MS,
    };
    this.#locationKey = `roadbed:${options.instance}`;
  }

  /** getProviderName is the owner of these entities in the catalog's database; it must never change. */
  getProviderName(): string {
    return 'roadbed';
  }

  /** connect is called once by the catalog, before run. */
  async connect(connection: EntityProviderConnection): Promise<void> {
    this.#connection = connection;
  }

  /** run follows Roadbed until `signal` aborts; then it returns. It never throws. */
  async run(signal: AbortSignal): Promise<void> {
    let cursor: string | undefined;
    let fullAt = 0;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (cursor === undefined || Date.now() - fullAt >= this.#options.fullEveryMs) {
          cursor = await this.#readAll(signal);
          fullAt = Date.now();
        } else {
          cursor = await this.#follow(cursor, signal);
        }
        if (failures > 0) {
          this.#options.logger.info('roadbed entities are followed again', { failures });
          failures = 0;
        }
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        if (error instanceof CursorExpiredError) {
          this.#options.logger.info('roadbed cursor expired, reading everything');
          cursor = undefined;
          await pause(this.#options.firstWaitMs, signal);
          continue;
        }
        failures += 1;
        const wait = backoffMs(failures, this.#options.firstWaitMs);
        this.#options.logger.warn(
          `roadbed entities could not be read, the catalog keeps what it has; next try in ${(wait / 1000).toFixed(1)} s: ${describe(error)}`,
        );
        await pause(wait, signal);
      }
    }
  }

  async #readAll(signal: AbortSignal): Promise<string> {
    const snapshot = await this.#options.feed.snapshot(signal);
    if (!snapshot.complete) {
      throw new Error('Roadbed answered with a part of its entities only');
    }
    await this.#connected().applyMutation({ type: 'full', entities: snapshot.entities.map(entity => this.#located(entity)) });
    this.#options.logger.info('roadbed entities read', { entities: snapshot.entities.length });
    return snapshot.cursor;
  }

  async #follow(cursor: string, signal: AbortSignal): Promise<string> {
    const askedAt = Date.now();
    const changes = await this.#options.feed.changes(cursor, signal);
    if (changes.added.length > 0 || changes.removed.length > 0) {
      await this.#connected().applyMutation({
        type: 'delta',
        added: changes.added.map(entity => this.#located(entity)),
        removed: changes.removed.map(entityRef => ({ entityRef, locationKey: this.#locationKey })),
      });
      this.#options.logger.info('roadbed entities changed', { added: changes.added.length, removed: changes.removed.length });
    } else if (Date.now() - askedAt < this.#options.firstWaitMs) {
      // Roadbed holds a request until something happens; a proxy that does not must not make this a busy loop.
      await pause(this.#options.firstWaitMs, signal);
    }
    return changes.cursor;
  }

  #located(entity: Entity) {
    // The catalog refuses entities that do not say where they come from.
    const annotations = {
      [ANNOTATION_LOCATION]: this.#locationKey,
      [ANNOTATION_ORIGIN_LOCATION]: this.#locationKey,
      ...entity.metadata.annotations,
    };
    return { entity: { ...entity, metadata: { ...entity.metadata, annotations } }, locationKey: this.#locationKey };
  }

  #connected(): EntityProviderConnection {
    if (!this.#connection) {
      throw new Error('The catalog has not connected the roadbed provider yet');
    }
    return this.#connection;
  }
}

/**
 * backoffMs is how long to wait after that many failures in a row: twice as long each time, up to 10 s, and a random
 * half of it, so that several backends do not come back at the same moment.
 */
export function backoffMs(failures: number, firstMs: number, random: () => number = Math.random): number {
  const full = Math.min(firstMs * 2 ** (failures - 1), LONGEST_WAIT_MS);
  return full / 2 + (random() * full) / 2;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const cause = error.cause as { code?: string; message?: string } | undefined;
  return [error.message, cause?.code ?? cause?.message].filter(Boolean).join(': ');
}
