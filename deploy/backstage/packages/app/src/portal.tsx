import { createFrontendModule } from '@backstage/frontend-plugin-api';
import { NavContentBlueprint, SignInPageBlueprint } from '@backstage/plugin-app-react';
import { Navigation } from './nav/Navigation';

/** portalModule is what this portal shows around the plugins: the sign-in page and the navigation. */
export const portalModule = createFrontendModule({
  pluginId: 'app',
  extensions: [
    SignInPageBlueprint.make({
      params: { loader: () => import('./signIn/SignInPage').then(module => module.SignInPage) },
    }),
    NavContentBlueprint.make({ params: { component: Navigation } }),
  ],
});
