import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RootConfigService } from '@backstage/backend-plugin-api';
import { NotFoundError } from '@backstage/errors';
import type { AuthResolverContext } from '@backstage/plugin-auth-node';
import { ConfigReader } from '@backstage/config';
import { createDemoAuthenticator, createDemoSignInResolver, readDemoPeople } from './demoAuth.ts';

const config = (demo: object): RootConfigService => new ConfigReader({ auth: { providers: { demo } } });
const people = [{ user: 'ann', name: 'Ann Okafor', team: 'Payments' }];

test('the demo sign-in does not start unless it is called dangerous', () => {
  for (const demo of [{ people }, { people, dangerouslyAllowDemoSignIn: false }]) {
    assert.throws(() => readDemoPeople(config(demo)), /dangerouslyAllowDemoSignIn to true/);
  }
  assert.deepEqual(readDemoPeople(config({ people, dangerouslyAllowDemoSignIn: true })), new Map([['ann', 'Ann Okafor']]));
});

test('only the people listed may sign in', async () => {
  const authenticator = createDemoAuthenticator(new Map([['ann', 'Ann Okafor']]));
  const authenticate = (user?: string) => authenticator.authenticate({ req: { header: () => user } as never }, undefined);
  assert.deepEqual(await authenticate('ann'), { result: { user: 'ann' } });
  const { profile } = await authenticator.defaultProfileTransform({ user: 'ann' }, {} as AuthResolverContext);
  assert.deepEqual(profile, { displayName: 'Ann Okafor' }, 'known before the catalog has read its users');
  for (const stranger of ['eve', '', undefined, 'ANN']) {
    await assert.rejects(authenticate(stranger), { name: 'AuthenticationError' }, String(stranger));
  }
});

test('a user whom the catalog has not read yet is looked up again, for a while', async () => {
  let misses = 3;
  const context = {
    async signInWithCatalogUser() {
      if (misses-- > 0) {
        throw new NotFoundError('User not found');
      }
      return { token: 'token' };
    },
  } as unknown as AuthResolverContext;
  const info = { profile: {}, result: { user: 'ann' } };
  assert.deepEqual(await createDemoSignInResolver({ patience: 5000, pause: 1 })(info, context), { token: 'token' });

  misses = 1000;
  await assert.rejects(async () => createDemoSignInResolver({ patience: 0, pause: 1 })(info, context), { name: 'NotFoundError' });
});
