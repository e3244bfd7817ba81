import { setTimeout as sleep } from 'node:timers/promises';
import type { AuthService, BackstageCredentials, DiscoveryService, LoggerService } from '@backstage/backend-plugin-api';
import { ServiceUnavailableError } from '@backstage/errors';
import type { JsonObject } from '@backstage/types';
import { refusal, withoutStack } from './reasons.ts';
import { submittedSchema, verdictSchema, type Submitted, type Verdict } from './wire.ts';

/** A status that says "not now": Roadbed is starting or stopping, or a proxy did not reach it. */
const NOT_NOW = new Set([429, 502, 503, 504]);

const ATTEMPTS = 5;
const LONGEST_WAIT_MS = 30_000;
const ANSWER_WITHIN_MS = 30_000;

/** Who is calling, and how the call is stopped and reported on. */
export type CallOptions = {
  credentials: BackstageCredentials;
  logger: LoggerService;
  signal?: AbortSignal;
};

/** What is submitted. The same idempotency key with the same body always has the same answer. */
export type Submission = {
  offering: string;
  parameters: JsonObject;
  /** expiresIn is how long it lives, such as "24h"; undefined is as the offering says. */
  expiresIn?: string;
  task: string;
  idempotencyKey: string;
};

/** RoadbedClient talks to Roadbed on behalf of the person who started a task. */
export class RoadbedClient {
  readonly #auth: AuthService;
  readonly #discovery: DiscoveryService;
  readonly #firstWaitMs: number;

  constructor(options: { auth: AuthService; discovery: DiscoveryService; firstWaitMs?: number }) {
    this.#auth = options.auth;
    this.#discovery = options.discovery;
    this.#firstWaitMs = options.firstWaitMs ?? 1000;
  }

  /**
   * submit hands in a request and returns it as soon as it is queued. It throws NotAllowedError, ConflictError or
   * InputError with every reason. It may be called again with the same submission: nothing is made twice.
   */
  async submit(submission: Submission, options: CallOptions): Promise<Submitted> {
    const { offering, parameters, expiresIn, task, idempotencyKey } = submission;
    const body = { offering, parameters, ...lasting(expiresIn), source: { task } };
    const answer = await this.#post('/requests', body, { 'idempotency-key': idempotencyKey }, options);
    return submittedSchema.parse(answer).request;
  }

  /** evaluate asks what Roadbed would say to these parameters, and what it would allow instead. Nothing is stored. */
  async evaluate(offering: string, parameters: JsonObject, expiresIn: string | undefined, options: CallOptions): Promise<Verdict> {
    const path = `/offerings/${encodeURIComponent(offering)}/evaluate`;
    return verdictSchema.parse(await this.#post(path, { parameters, ...lasting(expiresIn), advise: true }, {}, options));
  }

  async #post(path: string, body: JsonObject, headers: Record<string, string>, options: CallOptions): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(path, body, headers, options);
      if ('answer' in outcome) {
        return outcome.answer;
      }
      if (attempt === ATTEMPTS) {
        throw withoutStack(
          new ServiceUnavailableError(
            `Roadbed cannot be reached just now (${outcome.reason}). Nothing was lost: start the task again in a few minutes.`,
          ),
        );
      }
      const wait = Math.min(outcome.retryAfterMs ?? this.#firstWaitMs * 2 ** (attempt - 1), LONGEST_WAIT_MS);
      options.logger.info(`Roadbed is not ready (${outcome.reason}); asking again in ${(wait / 1000).toFixed(1)} s`);
      await sleep(wait, undefined, { signal: options.signal });
    }
  }

  async #attempt(
    path: string,
    body: JsonObject,
    headers: Record<string, string>,
    { credentials, signal }: CallOptions,
  ): Promise<{ answer: unknown } | { reason: string; retryAfterMs?: number }> {
    const { token } = await this.#auth.getPluginRequestToken({ onBehalfOf: credentials, targetPluginId: 'roadbed' });
    const url = `${await this.#discovery.getBaseUrl('roadbed')}${path}`;
    const deadline = AbortSignal.timeout(ANSWER_WITHIN_MS);
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${token}`, ...headers },
        body: JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      });
      text = await response.text();
    } catch (error) {
      signal?.throwIfAborted();
      return { reason: deadline.aborted ? 'no answer in time' : causeOf(error) };
    }
    if (NOT_NOW.has(response.status)) {
      return { reason: `status ${response.status}`, retryAfterMs: retryAfterMs(response.headers.get('retry-after')) };
    }
    if (!response.ok) {
      throw refusal(response.status, text);
    }
    return { answer: JSON.parse(text) };
  }
}

/** retryAfterMs reads a Retry-After header, which is a number of seconds or a date; undefined when it is neither. */
export function retryAfterMs(header: string | null, now = Date.now()): number | undefined {
  if (!header) {
    return undefined;
  }
  if (/^\d+$/.test(header.trim())) {
    return Number(header) * 1000;
  }
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
  return cause?.code ?? 'no connection';
}

function lasting(expiresIn: string | undefined): JsonObject {
  return expiresIn ? { expires_in: expiresIn } : {};
}
