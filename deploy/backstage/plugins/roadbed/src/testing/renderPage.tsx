import type { ReactElement } from 'react';
import { stringifyEntityRef, type Entity } from '@backstage/catalog-model';
import { renderInTestApp } from '@backstage/frontend-test-utils';
import { catalogApiRef, entityRouteRef } from '@backstage/plugin-catalog-react';
import axe from 'axe-core';
import { RoadbedClient } from '../api/RoadbedClient';
import { roadbedApiRef } from '../api/RoadbedApi';
import { approvalsRouteRef, campaignsRouteRef, createPageRouteRef, formRouteRef, requestsRouteRef, resourcesRouteRef } from '../routes';
import { INSTANCE_ID, noDrift } from './fixtures';
import type { SidecarDouble } from './SidecarDouble';

/** renderPage shows an element as the portal would, at `path`, against a sidecar double and a catalog of `entities`. */
export function renderPage(element: ReactElement, options: { sidecar: SidecarDouble; path?: string; entities?: Entity[] }) {
  const { sidecar, path = '/', entities = [] } = options;
  sidecar.byDefault('GET /me', { subject: 'user:default/ann', groups: ['group:default/payments'], platform_team: false });
  sidecar.byDefault('GET /offerings', { items: [{ id: 'postgres-database', name: 'PostgreSQL database' }] });
  sidecar.byDefault('GET /environments', { items: [{ name: 'dev', title: 'Development' }] });
  sidecar.byDefault('GET /pauses', { items: [] });
  sidecar.byDefault(`GET /instances/${INSTANCE_ID}/drift`, noDrift);
  return renderInTestApp(element, {
    apis: [
      [roadbedApiRef, new RoadbedClient({ fetchApi: sidecar.fetchApi })],
      [
        catalogApiRef,
        {
          getEntityByRef: async ref => entities.find(entity => stringifyEntityRef(entity) === ref),
          getEntities: async () => ({ items: entities }),
        },
      ],
    ],
    initialRouteEntries: [path],
    mountedRoutes: {
      '/infrastructure/requests': requestsRouteRef,
      '/infrastructure/campaigns': campaignsRouteRef,
      '/infrastructure/approvals': approvalsRouteRef,
      '/infrastructure/resources': resourcesRouteRef,
      '/create': createPageRouteRef,
      '/create/templates/:namespace/:templateName': formRouteRef,
      '/catalog/:namespace/:kind/:name': entityRouteRef,
    },
  });
}

/** findFaults gives what an accessibility checker has against what is on show. Colours need a browser and are left out. */
export async function findFaults(container: Element): Promise<string[]> {
  const { violations } = await axe.run(container, {
    rules: { 'color-contrast': { enabled: false }, region: { enabled: false } },
  });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`);
}
