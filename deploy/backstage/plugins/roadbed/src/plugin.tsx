import { createFrontendPlugin } from '@backstage/frontend-plugin-api';

/** roadbedPlugin is everything that people see of Roadbed in Backstage. */
export const roadbedPlugin = createFrontendPlugin({
  pluginId: 'roadbed',
  title: 'Infrastructure',
  extensions: [],
});
