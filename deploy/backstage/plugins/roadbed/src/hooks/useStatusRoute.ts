import { parseEntityRef } from '@backstage/catalog-model';
import { useRouteRef } from '@backstage/frontend-plugin-api';
import { entityRouteParams, entityRouteRef } from '@backstage/plugin-catalog-react';

/**
 * useStatusRoute gives the address of an instance's Status tab, or undefined where there is no catalog. A tab's own route can
 * only be had on its entity's page, so its path is written out as plugin.tsx has it.
 */
export function useStatusRoute(): (entityRef: string) => string | undefined {
  const entityRoute = useRouteRef(entityRouteRef);
  return entityRef => {
    const entity = entityRoute?.(entityRouteParams(parseEntityRef(entityRef)));
    return entity && `${entity}/status`;
  };
}
