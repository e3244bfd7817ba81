import { coreServices, createBackendModule, type RootConfigService } from '@backstage/backend-plugin-api';
import { AuthenticationError, isError } from '@backstage/errors';
import {
  authProvidersExtensionPoint,
  createProxyAuthProviderFactory,
  createProxyAuthenticator,
  type SignInResolver,
} from '@backstage/plugin-auth-node';

const CONFIG = 'auth.providers.demo';

/** The header in which the browser says who is signing in. */
export const DEMO_USER_HEADER = 'x-demo-user';

/**
 * readDemoPeople returns who may sign in: users of the catalog's `default` namespace, and how each is called. It throws
 * unless the operator has said in the configuration that anyone who reaches the portal may pick any of them.
 */
export function readDemoPeople(config: RootConfigService): Map<string, string> {
  if (config.getOptionalBoolean(`${CONFIG}.dangerouslyAllowDemoSignIn`) !== true) {
    throw new Error(
      'The demo sign-in lets anyone be anyone, so it does not start by itself. For a demonstration set ' +
        `${CONFIG}.dangerouslyAllowDemoSignIn to true; for anything else install a real auth provider and remove demoAuthModule.`,
    );
  }
  return new Map(
    config.getConfigArray(`${CONFIG}.people`).map(person => [person.getString('user'), person.getString('name')]),
  );
}

type DemoResult = { user: string };

/** createDemoAuthenticator accepts the people given and nobody else: a stranger gets 401. */
export function createDemoAuthenticator(people: ReadonlyMap<string, string>) {
  return createProxyAuthenticator({
    async defaultProfileTransform({ user }: DemoResult) {
      return { profile: { displayName: people.get(user) } };
    },
    initialize() {},
    async authenticate({ req }): Promise<{ result: DemoResult }> {
      const user = req.header(DEMO_USER_HEADER);
      if (!user || !people.has(user)) {
        throw new AuthenticationError(`Nobody of that name may sign in here; choose one of ${[...people.keys()].join(', ')}`);
      }
      return { result: { user } };
    },
  });
}

/**
 * createDemoSignInResolver signs a person in as the catalog's user of that name. Right after a start the catalog has not
 * read its users yet, so for up to `patience` milliseconds a missing user is looked up again.
 */
export function createDemoSignInResolver(options: { patience: number; pause: number }): SignInResolver<DemoResult> {
  return async ({ result }, context) => {
    const deadline = Date.now() + options.patience;
    for (;;) {
      try {
        return await context.signInWithCatalogUser({ entityRef: { name: result.user } });
      } catch (error) {
        if (!isError(error) || error.name !== 'NotFoundError' || Date.now() >= deadline) {
          throw error;
        }
        await new Promise(resolve => setTimeout(resolve, options.pause));
      }
    }
  };
}

/** demoAuthModule adds the auth provider `demo`: pick one of the configured people, no password. */
export const demoAuthModule = createBackendModule({
  pluginId: 'auth',
  moduleId: 'demo-provider',
  register(reg) {
    reg.registerInit({
      deps: {
        providers: authProvidersExtensionPoint,
        config: coreServices.rootConfig,
        logger: coreServices.logger,
      },
      async init({ providers, config, logger }) {
        const people = readDemoPeople(config);
        providers.registerProvider({
          providerId: 'demo',
          factory: createProxyAuthProviderFactory({
            authenticator: createDemoAuthenticator(people),
            signInResolver: createDemoSignInResolver({ patience: 10_000, pause: 250 }),
          }),
        });
        logger.warn('demo sign-in is on: anyone who reaches this portal can be any of its people', { people: [...people.keys()].join(' ') });
      },
    });
  },
});
