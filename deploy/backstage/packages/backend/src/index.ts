import { createBackend } from '@backstage/backend-defaults';
import { demoAuthModule } from './demoAuth.ts';

const backend = createBackend();

// The frontend, and the gateway by which the browser reaches Roadbed through this backend's own port.
backend.add(import('@backstage/plugin-app-backend'));
backend.add(import('@backstage/plugin-gateway-backend'));

backend.add(import('@backstage/plugin-auth-backend'));
backend.add(demoAuthModule);

backend.add(import('@backstage/plugin-catalog-backend'));
backend.add(import('@backstage/plugin-catalog-backend-module-scaffolder-entity-model'));
backend.add(import('@roadbed/backstage-plugin-catalog-backend-module-roadbed'));

backend.add(import('@backstage/plugin-scaffolder-backend'));
backend.add(import('@roadbed/backstage-plugin-scaffolder-backend-module-roadbed'));

// Roadbed tells people here what waits for them; signals bring it to a page that is open.
backend.add(import('@backstage/plugin-notifications-backend'));
backend.add(import('@backstage/plugin-signals-backend'));

try {
  await backend.start();
} catch (error) {
  // Left alone, Backstage logs this and stays, never ready; whoever supervises the process has to see it end.
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
