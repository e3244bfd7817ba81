import { stringifyEntityRef } from '@backstage/catalog-model';
import { useApi } from '@backstage/frontend-plugin-api';
import { catalogApiRef } from '@backstage/plugin-catalog-react';
import { useLoad } from './useLoad';

/**
 * useTeams is the catalog's groups, by name, or by entity ref outside of the default namespace; empty until they are known
 * and where the catalog does not say.
 */
export function useTeams(): string[] {
  const catalog = useApi(catalogApiRef);
  const { loaded } = useLoad('teams', async () => {
    const { items } = await catalog.getEntities({
      filter: { kind: 'Group' },
      fields: ['kind', 'metadata.name', 'metadata.namespace'],
    });
    return items.map(stringifyEntityRef).map(ref => ref.replace(/^group:default\//, '')).toSorted();
  });
  return loaded.status === 'data' ? loaded.data : [];
}
