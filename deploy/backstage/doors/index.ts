import { createBackend } from '@backstage/backend-defaults';
import { demoAuthModule } from '../packages/backend/src/demoAuth.ts';
import { denyingPolicyModule } from './policy.ts';

// A Backstage with nothing of ours in it but the way to sign in: Roadbed is reached by configuration alone.
const backend = createBackend();
backend.add(import('@backstage/plugin-auth-backend'));
backend.add(demoAuthModule);
backend.add(import('@backstage/plugin-catalog-backend'));
backend.add(import('@backstage/plugin-catalog-backend-module-scaffolder-entity-model'));
backend.add(import('@backstage/plugin-scaffolder-backend'));
backend.add(import('@roadiehq/scaffolder-backend-module-http-request'));
backend.add(import('@backstage/plugin-mcp-actions-backend'));
backend.add(import('@backstage/plugin-permission-backend'));
backend.add(denyingPolicyModule);

try {
  await backend.start();
} catch (error) {
  // Left alone, Backstage logs this and stays, never ready; whoever supervises the process has to see it end.
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
