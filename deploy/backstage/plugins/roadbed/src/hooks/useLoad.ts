import { useCallback, useEffect, useRef, useState } from 'react';

/** What a view has of what it shows: nothing yet, why not, or the thing. */
export type Loaded<T> =
  | { status: 'loading' }
  | { status: 'error'; error: unknown }
  | { status: 'data'; data: T; stale?: unknown };

/** Load is something loaded, and the two ways to change it. */
export type Load<T> = {
  loaded: Loaded<T>;
  /** reload loads again, and gives what came, or undefined when nothing did. It never rejects. */
  reload(): Promise<T | undefined>;
  /** replace shows what is already at hand, such as the answer to a change. */
  replace(data: T): void;
};

/**
 * useLoad loads something when `key` changes, and again when asked. Once there is data it stays on show: a later failure
 * is `stale`, the reason why it could not be brought up to date. Answers that were overtaken are dropped.
 */
export function useLoad<T>(key: string, load: () => Promise<T>): Load<T> {
  const [shown, setShown] = useState<{ key: string; loaded: Loaded<T> }>({ key, loaded: { status: 'loading' } });
  const latest = useRef({ key, load, turn: 0 });
  latest.current.key = key;
  latest.current.load = load;

  const reload = useCallback(async () => {
    const { current } = latest;
    const asked = current.key;
    current.turn += 1;
    const turn = current.turn;
    const overtaken = () => current.turn !== turn || current.key !== asked;
    try {
      const data = await current.load();
      if (!overtaken()) {
        setShown({ key: asked, loaded: { status: 'data', data } });
      }
      return data;
    } catch (error) {
      if (!overtaken()) {
        setShown(before =>
          before.key === asked && before.loaded.status === 'data'
            ? { key: asked, loaded: { ...before.loaded, stale: error } }
            : { key: asked, loaded: { status: 'error', error } },
        );
      }
      return undefined;
    }
  }, []);

  const replace = useCallback((data: T) => {
    latest.current.turn += 1;
    setShown({ key: latest.current.key, loaded: { status: 'data', data } });
  }, []);

  useEffect(() => {
    reload();
    const { current } = latest;
    return () => {
      current.turn += 1;
    };
  }, [key, reload]);

  return { loaded: shown.key === key ? shown.loaded : { status: 'loading' }, reload, replace };
}
