import { useEffect, useRef } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { followEvents } from '../api/follow';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { InfrastructureRequest } from '../api/types';
import { hasEnded } from '../words';
import { useLoad, type Load } from './useLoad';

const POLL_MS = 5000;
/** A place in line, a late time and a stalled step come without an event. */
const LOOK_MS = 15_000;
/** Events come in bursts, and one look at the request tells what all of them did. */
const SETTLE_MS = 150;

/**
 * useLiveRequest keeps a request up to date until it has ended: each event leads to a fresh look at the request, which
 * is the only truth. While no event stream can be had it looks every five seconds instead.
 */
export function useLiveRequest(id: string): Load<InfrastructureRequest> {
  const api = useApi(roadbedApiRef);
  const load = useLoad(id, () => api.getRequest(id));
  const { loaded, reload } = load;
  const request = loaded.status === 'data' ? loaded.data : undefined;
  const sequence = useRef<number>();
  sequence.current = request?.sequence;

  const following = request !== undefined && !hasEnded(request.state);
  useEffect(() => {
    if (!following) {
      return undefined;
    }
    const abort = new AbortController();
    let connected = false;
    let settling: ReturnType<typeof setTimeout> | undefined;
    const poll = setInterval(() => {
      if (!connected) {
        reload();
      }
    }, POLL_MS);

    const look = setInterval(reload, LOOK_MS);

    followEvents({
      open: options => api.openRequestEvents(id, options),
      after: sequence.current === undefined ? undefined : String(sequence.current),
      signal: abort.signal,
      onEvent: () => {
        clearTimeout(settling);
        settling = setTimeout(reload, SETTLE_MS);
      },
      onEnd: async () => {
        const latest = await reload();
        return latest !== undefined && hasEnded(latest.state);
      },
      onConnection: open => {
        connected = open;
      },
    });
    return () => {
      abort.abort();
      clearTimeout(settling);
      clearInterval(poll);
      clearInterval(look);
    };
  }, [api, id, following, reload]);

  return load;
}
