import { coreServices, createBackendModule } from '@backstage/backend-plugin-api';
import { catalogProcessingExtensionPoint } from '@backstage/plugin-catalog-node';
import { RoadbedFeed } from './feed.ts';
import { RoadbedEntityProvider } from './provider.ts';

/** catalogModuleRoadbed keeps Roadbed's instances in the catalog, as Resource entities. */
export const catalogModuleRoadbed = createBackendModule({
  pluginId: 'catalog',
  moduleId: 'roadbed',
  register(reg) {
    reg.registerInit({
      deps: {
        catalog: catalogProcessingExtensionPoint,
        auth: coreServices.auth,
        config: coreServices.rootConfig,
        discovery: coreServices.discovery,
        lifecycle: coreServices.lifecycle,
        logger: coreServices.logger,
      },
      async init({ catalog, auth, config, discovery, lifecycle, logger }) {
        const provider = new RoadbedEntityProvider({
          feed: new RoadbedFeed({ auth, discovery }),
          logger,
          instance: config.getOptionalString('roadbed.instance') ?? 'default',
        });
        catalog.addEntityProvider(provider);

        const stop = new AbortController();
        let running: Promise<void> | undefined;
        lifecycle.addStartupHook(() => {
          running = provider.run(stop.signal);
        });
        lifecycle.addShutdownHook(async () => {
          stop.abort();
          await running;
        });
      },
    });
  },
});
