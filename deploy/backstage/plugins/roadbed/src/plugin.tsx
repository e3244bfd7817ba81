import {
  ApiBlueprint,
  PageBlueprint,
  SubPageBlueprint,
  createFrontendPlugin,
  fetchApiRef,
} from '@backstage/frontend-plugin-api';
import { EntityCardBlueprint, EntityContentBlueprint } from '@backstage/plugin-catalog-react/alpha';
import { RiStackLine } from '@remixicon/react';
import { roadbedApiRef } from './api/RoadbedApi';
import { RoadbedClient } from './api/RoadbedClient';
import { formFields } from './form/extensions';
import {
  approvalsRouteRef,
  budgetsRouteRef,
  campaignRouteRef,
  campaignsRouteRef,
  changeRouteRef,
  createPageRouteRef,
  driftRouteRef,
  formRouteRef,
  overviewRouteRef,
  policyRouteRef,
  previewsRouteRef,
  requestRouteRef,
  requestsRouteRef,
  resourcesRouteRef,
  rootRouteRef,
  statusRouteRef,
  unusedRouteRef,
  upgradeRouteRef,
} from './routes';

const client = ApiBlueprint.make({
  params: defineParams =>
    defineParams({
      api: roadbedApiRef,
      deps: { fetchApi: fetchApiRef },
      factory: ({ fetchApi }) => new RoadbedClient({ fetchApi }),
    }),
});

const page = PageBlueprint.make({
  params: {
    path: '/infrastructure',
    title: 'Infrastructure',
    icon: <RiStackLine />,
    routeRef: rootRouteRef,
  },
});

const requestsPage = SubPageBlueprint.make({
  name: 'requests',
  params: {
    path: 'requests',
    title: 'Requests',
    routeRef: requestsRouteRef,
    loader: () => import('./components/Requests').then(m => <m.Requests />),
  },
});

const approvalsPage = SubPageBlueprint.make({
  name: 'approvals',
  params: {
    path: 'approvals',
    title: 'Approvals',
    routeRef: approvalsRouteRef,
    loader: () => import('./components/ApprovalsPage').then(m => <m.ApprovalsPage />),
  },
});

const resourcesPage = SubPageBlueprint.make({
  name: 'resources',
  params: {
    path: 'resources',
    title: 'Resources',
    routeRef: resourcesRouteRef,
    loader: () => import('./components/Resources').then(m => <m.Resources />),
  },
});

const overviewPage = SubPageBlueprint.make({
  name: 'overview',
  params: {
    path: 'overview',
    title: 'Overview',
    routeRef: overviewRouteRef,
    loader: () => import('./components/Overview').then(m => <m.Overview />),
  },
});

const driftPage = SubPageBlueprint.make({
  name: 'drift',
  params: {
    path: 'drift',
    title: 'Drift',
    routeRef: driftRouteRef,
    loader: () => import('./components/DriftPage').then(m => <m.DriftPage />),
  },
});

const unusedPage = SubPageBlueprint.make({
  name: 'unused',
  params: {
    path: 'unused',
    title: 'Unused',
    routeRef: unusedRouteRef,
    loader: () => import('./components/UnusedPage').then(m => <m.UnusedPage />),
  },
});

const previewsPage = SubPageBlueprint.make({
  name: 'previews',
  params: {
    path: 'previews',
    title: 'Previews',
    routeRef: previewsRouteRef,
    loader: () => import('./components/PreviewsPage').then(m => <m.PreviewsPage />),
  },
});

const budgetsPage = SubPageBlueprint.make({
  name: 'budgets',
  params: {
    path: 'budgets',
    title: 'Budgets',
    routeRef: budgetsRouteRef,
    loader: () => import('./components/BudgetsPage').then(m => <m.BudgetsPage />),
  },
});

const campaignsPage = SubPageBlueprint.make({
  name: 'campaigns',
  params: {
    path: 'campaigns',
    title: 'Campaigns',
    routeRef: campaignsRouteRef,
    loader: () => import('./components/Campaigns').then(m => <m.Campaigns />),
  },
});

const policyPage = SubPageBlueprint.make({
  name: 'policy',
  params: {
    path: 'policy',
    title: 'Policy',
    routeRef: policyRouteRef,
    loader: () => import('./components/PolicyPage').then(m => <m.PolicyPage />),
  },
});

const isInstance = { 'metadata.annotations.roadbed.dev/instance': { $exists: true } };

const statusCard = EntityCardBlueprint.make({
  name: 'status',
  params: {
    type: 'content',
    filter: isInstance,
    loader: () => import('./components/StatusCard').then(m => <m.StatusCard />),
  },
});

const statusTab = EntityContentBlueprint.make({
  name: 'status',
  params: {
    path: 'status',
    title: 'Status',
    group: 'operation',
    filter: isInstance,
    routeRef: statusRouteRef,
    loader: () => import('./components/StatusTab').then(m => <m.StatusTab />),
  },
});

/** roadbedPlugin is everything that people see of Roadbed in Backstage. */
export const roadbedPlugin = createFrontendPlugin({
  pluginId: 'roadbed',
  title: 'Infrastructure',
  icon: <RiStackLine />,
  info: { packageJson: () => import('../package.json') },
  routes: {
    root: rootRouteRef,
    requests: requestsRouteRef,
    request: requestRouteRef,
    approvals: approvalsRouteRef,
    resources: resourcesRouteRef,
    overview: overviewRouteRef,
    drift: driftRouteRef,
    unused: unusedRouteRef,
    previews: previewsRouteRef,
    budgets: budgetsRouteRef,
    campaigns: campaignsRouteRef,
    campaign: campaignRouteRef,
    policy: policyRouteRef,
    change: changeRouteRef,
    upgrade: upgradeRouteRef,
  },
  externalRoutes: {
    create: createPageRouteRef,
    form: formRouteRef,
  },
  extensions: [client, page, requestsPage, approvalsPage, resourcesPage, overviewPage, driftPage, unusedPage, previewsPage, budgetsPage, campaignsPage, policyPage, statusCard, statusTab, ...formFields],
});
