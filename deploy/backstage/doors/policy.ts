import { createBackendModule } from '@backstage/backend-plugin-api';
import { AuthorizeResult, type PolicyDecision } from '@backstage/plugin-permission-common';
import { policyExtensionPoint } from '@backstage/plugin-permission-node/alpha';
import type { PermissionPolicy, PolicyQuery, PolicyQueryUser } from '@backstage/plugin-permission-node';

// Pat may do anything that Roadbed's own rules allow, but may not end anything: nothing of Roadbed's says so.
class DenyingPolicy implements PermissionPolicy {
  async handle({ permission }: PolicyQuery, user?: PolicyQueryUser): Promise<PolicyDecision> {
    const denied = permission.name === 'roadbed.instance.delete' && user?.info.userEntityRef === 'user:default/pat';
    return { result: denied ? AuthorizeResult.DENY : AuthorizeResult.ALLOW };
  }
}

/** denyingPolicyModule is a permission policy for tests. */
export const denyingPolicyModule = createBackendModule({
  pluginId: 'permission',
  moduleId: 'denying-policy',
  register(reg) {
    reg.registerInit({
      deps: { policy: policyExtensionPoint },
      async init({ policy }) {
        policy.setPolicy(new DenyingPolicy());
      },
    });
  },
});
