import { createApp } from '@backstage/frontend-defaults';
import catalogPlugin from '@backstage/plugin-catalog/alpha';
import notificationsPlugin from '@backstage/plugin-notifications/alpha';
import orgPlugin from '@backstage/plugin-org/alpha';
import scaffolderPlugin from '@backstage/plugin-scaffolder/alpha';
import signalsPlugin from '@backstage/plugin-signals/alpha';
import roadbedPlugin from '@roadbed/backstage-plugin-roadbed';
import { portalModule } from './portal';

/**
 * app is the portal: the catalog with its people and teams, the Create page, Roadbed, notifications, and a sign-in page for
 * demonstrations.
 */
export const app = createApp({
  features: [catalogPlugin, orgPlugin, scaffolderPlugin, roadbedPlugin, notificationsPlugin, signalsPlugin, portalModule],
});
