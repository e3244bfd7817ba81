import { EntityContentBlueprint } from '@backstage/plugin-catalog-react/alpha';
import { createExtensionTester } from '@backstage/frontend-test-utils';
import { anEntity } from './testing/fixtures';
import { roadbedPlugin } from './plugin';

test('the plugin is the one that the backend knows as roadbed', () => {
  expect(roadbedPlugin.pluginId).toBe('roadbed');
});

test('the Status tab is on the entities of instances, and on no others', () => {
  const tab = createExtensionTester(roadbedPlugin.getExtension('entity-content:roadbed/status'));
  const filter = tab.get(EntityContentBlueprint.dataRefs.filterFunction);
  expect(filter?.(anEntity)).toBe(true);
  expect(filter?.({ ...anEntity, metadata: { name: 'other' } })).toBe(false);
});
