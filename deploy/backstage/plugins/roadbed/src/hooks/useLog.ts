import { useEffect, useRef, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { followEvents } from '../api/follow';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { LogLine } from '../api/types';

/** What the sidecar gives at once; fewer means that there are no more for now. */
const PAGE = 500;
/** A browser lays out so many lines without strain. Older ones are left out. */
const MOST_LINES = 3000;
const POLL_MS = 3000;
/** Lines come one by one, and are shown in batches. */
const BATCH_MS = 100;

/** Log is what is shown of a log. */
export type Log = { lines: LogLine[]; loading: boolean; cut: boolean; error?: unknown };

const NOTHING: Log = { lines: [], loading: true, cut: false };

/** useLog reads a request's log while `open`, from the first line on, and follows it until the request has ended. */
export function useLog(requestId: string, open: boolean, ended: boolean): Log {
  const api = useApi(roadbedApiRef);
  const [log, setLog] = useState<Log>(NOTHING);
  const hasEnded = useRef(ended);
  hasEnded.current = ended;

  useEffect(() => {
    if (!open) {
      return undefined;
    }
    const abort = new AbortController();
    const { signal } = abort;
    let last = 0;
    let batch: LogLine[] = [];
    let connected = false;
    let reading = false;

    const add = (lines: LogLine[]) => {
      const fresh = lines.filter(line => line.position > last);
      last = fresh.at(-1)?.position ?? last;
      batch.push(...fresh);
    };
    const show = (change: Partial<Log>) => {
      const fresh = batch;
      batch = [];
      setLog(before => {
        const lines = fresh.length > 0 ? [...before.lines, ...fresh] : before.lines;
        const cut = before.cut || lines.length > MOST_LINES;
        return { ...before, ...change, lines: lines.slice(-MOST_LINES), cut };
      });
    };
    const readOn = async () => {
      for (let more = true; more && !signal.aborted; ) {
        const lines = await api.getLog(requestId, last);
        add(lines);
        more = lines.length >= PAGE;
      }
    };
    const poll = async () => {
      if (reading || connected) {
        return;
      }
      reading = true;
      try {
        await readOn();
        if (!signal.aborted) {
          show({ loading: false, error: undefined });
        }
      } catch (error) {
        if (!signal.aborted) {
          show({ loading: false, error });
        }
      } finally {
        reading = false;
      }
    };

    setLog(NOTHING);
    const first = poll();
    if (hasEnded.current) {
      return () => abort.abort();
    }
    const stop = () => {
      abort.abort();
      clearInterval(polling);
      clearInterval(showing);
    };
    const polling = setInterval(async () => {
      const final = hasEnded.current;
      await poll();
      if (final && !connected) {
        stop();
      }
    }, POLL_MS);
    const showing = setInterval(() => batch.length > 0 && show({ loading: false, error: undefined }), BATCH_MS);
    first.then(() =>
      followEvents({
        open: options => api.openRequestLog(requestId, options),
        after: last > 0 ? String(last) : undefined,
        signal,
        onEvent: event => add([JSON.parse(event.data)]),
        // The stream ends when the request has; one last look then finds whatever came late.
        onEnd: async () => {
          connected = false;
          return true;
        },
        onConnection: now => {
          connected = now;
        },
      }),
    );
    return stop;
  }, [api, requestId, open]);

  return log;
}
