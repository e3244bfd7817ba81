import { createExternalRouteRef, createRouteRef, createSubRouteRef } from '@backstage/frontend-plugin-api';

export const rootRouteRef = createRouteRef();

export const requestsRouteRef = createRouteRef();

/** A request has an address of its own, so that a link in a task, a chat or a mail leads somewhere useful. */
export const requestRouteRef = createSubRouteRef({ parent: requestsRouteRef, path: '/:id' });

export const approvalsRouteRef = createRouteRef();

export const resourcesRouteRef = createRouteRef();

export const overviewRouteRef = createRouteRef();

/** The form that changes one resource; what its query holds is filled in: "?storage_gb=200". */
export const changeRouteRef = createSubRouteRef({ parent: resourcesRouteRef, path: '/:id/change' });

/** The same for the published version of its offering. */
export const upgradeRouteRef = createSubRouteRef({ parent: resourcesRouteRef, path: '/:id/upgrade' });

export const driftRouteRef = createRouteRef();

export const unusedRouteRef = createRouteRef();

export const previewsRouteRef = createRouteRef();

export const budgetsRouteRef = createRouteRef();

export const campaignsRouteRef = createRouteRef();

/** A campaign has an address of its own. */
export const campaignRouteRef = createSubRouteRef({ parent: campaignsRouteRef, path: '/:id' });

export const policyRouteRef = createRouteRef();

export const statusRouteRef = createRouteRef();

/** The Create page, from where new things are asked for. */
export const createPageRouteRef = createExternalRouteRef({ defaultTarget: 'scaffolder.root' });

/** The form of one offering. */
export const formRouteRef = createExternalRouteRef({
  params: ['namespace', 'templateName'],
  defaultTarget: 'scaffolder.selectedTemplate',
});
