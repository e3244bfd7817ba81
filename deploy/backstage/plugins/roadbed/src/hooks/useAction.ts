import { useCallback, useRef, useState } from 'react';

/** Action is something that a button does. */
export type Action = { run(): Promise<void>; pending: boolean; error: unknown };

/** useAction runs one thing at a time, and keeps why it failed until it is tried again. */
export function useAction(act: () => Promise<void>): Action {
  const [state, setState] = useState<{ pending: boolean; error: unknown }>({ pending: false, error: undefined });
  const latest = useRef(act);
  latest.current = act;
  const busy = useRef(false);
  const run = useCallback(async () => {
    if (busy.current) {
      return;
    }
    busy.current = true;
    setState({ pending: true, error: undefined });
    try {
      await latest.current();
      setState({ pending: false, error: undefined });
    } catch (error) {
      setState({ pending: false, error });
    } finally {
      busy.current = false;
    }
  }, []);
  return { run, ...state };
}
