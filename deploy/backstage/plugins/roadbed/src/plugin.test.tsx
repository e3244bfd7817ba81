import { renderInTestApp } from '@backstage/frontend-test-utils';
import { screen } from '@testing-library/react';
import { Text } from '@backstage/ui';
import { roadbedPlugin } from './plugin';

test('the plugin is the one that the backend knows as roadbed', () => {
  expect(roadbedPlugin.pluginId).toBe('roadbed');
});

test('tests can render', async () => {
  renderInTestApp(<Text>hello</Text>);
  expect(await screen.findByText('hello')).toBeInTheDocument();
});
