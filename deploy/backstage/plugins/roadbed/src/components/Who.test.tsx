import { screen } from '@testing-library/react';
import { renderPage } from '../testing/renderPage';
import { SidecarDouble } from '../testing/SidecarDouble';
import { Who } from './Who';

test('a pipeline is no entity to be linked to', async () => {
  renderPage(<Who entityRef="ci:acme/orders" />, { sidecar: new SidecarDouble() });
  expect(await screen.findByText('a pipeline of acme/orders')).toBeInTheDocument();
  expect(screen.queryByRole('link', { name: /orders/ })).not.toBeInTheDocument();
});
