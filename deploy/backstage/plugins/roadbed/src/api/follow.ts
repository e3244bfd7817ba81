import { ResponseError } from '@backstage/errors';
import type { StreamOptions } from './RoadbedApi';
import type { ServerEvent } from './serverEvents';

/** How a stream is followed. */
export type FollowOptions = {
  /** open makes one connection. */
  open(options: StreamOptions): AsyncIterable<ServerEvent>;
  /** after is the id of the last event already known. */
  after?: string;
  signal: AbortSignal;
  onEvent(event: ServerEvent): void;
  /** onEnd is told when a connection ends in good order; `true` means there is no more to come. */
  onEnd(): Promise<boolean>;
  /** onConnection is told when the stream is open, and when it is not and polling has to stand in. */
  onConnection(connected: boolean): void;
  /** firstDelayMs is doubled for each failure in a row, up to 30 seconds. */
  firstDelayMs?: number;
};

const LONGEST_DELAY_MS = 30_000;

/** Answers that will be the same however often they are asked for. */
const FINAL_STATUSES = [400, 401, 403, 404, 406, 410];

/**
 * followEvents stays connected to a stream until it has no more to say, the signal is aborted, or the sidecar refuses.
 * It resumes after the last event that it passed on, so nothing is missed and nothing comes twice.
 */
export async function followEvents(options: FollowOptions): Promise<void> {
  const { signal, firstDelayMs = 1000 } = options;
  let after = options.after;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const onOpen = () => options.onConnection(true);
      for await (const event of options.open({ after, signal, onOpen })) {
        if (signal.aborted) {
          return;
        }
        failures = 0;
        after = event.id || after;
        options.onEvent(event);
      }
      if (signal.aborted || (await options.onEnd())) {
        return;
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      if (ResponseError.is(error) && FINAL_STATUSES.includes(error.statusCode)) {
        options.onConnection(false);
        return;
      }
    }
    options.onConnection(false);
    failures += 1;
    const delay = Math.min(firstDelayMs * 2 ** (failures - 1), LONGEST_DELAY_MS);
    // A restarted sidecar should not meet all its readers at the same moment.
    await pause(delay * (0.75 + Math.random() / 2), signal);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
  });
}
