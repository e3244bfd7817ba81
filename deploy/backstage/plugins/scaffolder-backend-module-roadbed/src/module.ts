import { coreServices, createBackendModule } from '@backstage/backend-plugin-api';
import { scaffolderActionsExtensionPoint } from '@backstage/plugin-scaffolder-node';
import { createRequestAction } from './action.ts';
import { RoadbedClient } from './client.ts';

/** scaffolderModuleRoadbed adds the action `roadbed:request` to the scaffolder. */
export const scaffolderModuleRoadbed = createBackendModule({
  pluginId: 'scaffolder',
  moduleId: 'roadbed',
  register(reg) {
    reg.registerInit({
      deps: {
        actions: scaffolderActionsExtensionPoint,
        auth: coreServices.auth,
        discovery: coreServices.discovery,
      },
      async init({ actions, auth, discovery }) {
        actions.addActions(createRequestAction({ client: new RoadbedClient({ auth, discovery }) }));
      },
    });
  },
});
