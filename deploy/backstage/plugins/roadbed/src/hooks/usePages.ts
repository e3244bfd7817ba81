import { useCallback, useEffect, useRef, useState } from 'react';
import type { Page } from '../api/types';

/** What a list has of its rows. `moreError` is why the next page did not come; the rows before it stay. */
export type Pages<T> =
  | { status: 'loading' }
  | { status: 'error'; error: unknown }
  | { status: 'data'; rows: T[]; next: string; loadingMore: boolean; moreError?: unknown };

/**
 * usePages loads a list page by page, anew when `key` changes. A page is put in `order` by itself and stays where it is,
 * so that no row moves when more are loaded.
 */
export function usePages<T>(
  key: string,
  load: (cursor: string | undefined) => Promise<Page<T>>,
  order: (rows: T[]) => T[] = rows => rows,
): { pages: Pages<T>; reload(): void; loadMore(): void } {
  const [pages, setPages] = useState<{ key: string; value: Pages<T> }>({ key, value: { status: 'loading' } });
  const latest = useRef({ key, load, order });
  latest.current = { key, load, order };

  const reload = useCallback(async () => {
    const asked = latest.current;
    setPages({ key: asked.key, value: { status: 'loading' } });
    const settle = (value: Pages<T>) => latest.current.key === asked.key && setPages({ key: asked.key, value });
    try {
      const page = await asked.load(undefined);
      settle({ status: 'data', rows: asked.order(page.items), next: page.next, loadingMore: false });
    } catch (error) {
      settle({ status: 'error', error });
    }
  }, []);

  const current = pages.key === key ? pages.value : ({ status: 'loading' } as const);
  const loadMore = async () => {
    if (current.status !== 'data' || current.loadingMore || !current.next) {
      return;
    }
    const asked = latest.current;
    const settle = (change: Partial<Extract<Pages<T>, { status: 'data' }>>) =>
      latest.current.key === asked.key && setPages({ key: asked.key, value: { ...current, ...change } });
    settle({ loadingMore: true, moreError: undefined });
    try {
      const page = await asked.load(current.next);
      settle({ rows: [...current.rows, ...asked.order(page.items)], next: page.next, loadingMore: false });
    } catch (moreError) {
      settle({ loadingMore: false, moreError });
    }
  };

  useEffect(() => {
    reload();
  }, [key, reload]);

  return { pages: current, reload, loadMore };
}
