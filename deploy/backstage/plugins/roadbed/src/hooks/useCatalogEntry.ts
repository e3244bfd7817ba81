import { useEffect, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { catalogApiRef } from '@backstage/plugin-catalog-react';
import { useStatusRoute } from './useStatusRoute';

const RETRY_MS = 1500;
const TRIES = 40;

/** Whether an instance has an entry in the catalog, and where. */
export type CatalogEntry = { status: 'looking' } | { status: 'absent' } | { status: 'present'; href: string };

/**
 * useCatalogEntry finds the Status tab of an entity. The catalog takes a second or two to show a new one, so it is looked for
 * again for a minute while `expected`. Without an entity ref there is nothing to look for.
 */
export function useCatalogEntry(entityRef: string | undefined, expected: boolean): CatalogEntry {
  const catalog = useApi(catalogApiRef);
  const statusRoute = useStatusRoute();
  const [status, setStatus] = useState<CatalogEntry['status']>('looking');

  useEffect(() => {
    if (!entityRef) {
      setStatus('absent');
      return undefined;
    }
    setStatus('looking');
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (triesLeft: number) => {
      const found = await catalog.getEntityByRef(entityRef).catch(() => undefined);
      if (stopped) {
        return;
      }
      if (found) {
        setStatus('present');
      } else if (triesLeft > 0) {
        timer = setTimeout(look, RETRY_MS, triesLeft - 1);
      } else {
        setStatus('absent');
      }
    };
    look(expected ? TRIES : 0);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [catalog, entityRef, expected]);

  if (status !== 'present' || !entityRef) {
    return { status: status === 'present' ? 'looking' : status };
  }
  const href = statusRoute(entityRef);
  return href ? { status, href } : { status: 'absent' };
}
