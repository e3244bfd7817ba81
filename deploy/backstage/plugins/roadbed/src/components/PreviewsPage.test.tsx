import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { EphemeralEnvironment } from '../api/types';
import { anInstance, INSTANCE_ID } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { PreviewsPage } from './PreviewsPage';

const PREVIEW_ID = '3f0f7d1e-6a43-5b0c-8f5f-0a7d3a1b2c3d';
const OTHER_ID = '01980000-0000-7000-8000-0000000000bb';
const END = new Date(Date.now() + 5.5 * 3_600_000).toISOString();

const preview: EphemeralEnvironment = {
  id: PREVIEW_ID,
  name: 'pr-42',
  repository: 'acme/orders',
  pull_request: 42,
  base: 'staging',
  monthly_cost: 87,
  expires_at: END,
  instances: [
    anInstance({ id: INSTANCE_ID, name: 'pr-42-orders', entity_ref: 'resource:dev/pr-42-orders.postgres-database', monthly_cost: 43.5, expires_at: END }),
    anInstance({ id: OTHER_ID, name: 'pr-42-billing', entity_ref: 'resource:dev/pr-42-billing.postgres-database', monthly_cost: 43.5, expires_at: END, state: 'incomplete' }),
  ],
};

test('keeps the place of what is on its way', async () => {
  renderPage(<PreviewsPage />, { sidecar: new SidecarDouble().on('GET /previews', never) });
  expect(await screen.findByRole('status', { name: 'Loading the previews' })).toBeInTheDocument();
});

test('says what cannot be shown', async () => {
  renderPage(<PreviewsPage />, {
    sidecar: new SidecarDouble().on('GET /previews', () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' })),
  });
  expect(await screen.findByRole('alert')).toBeInTheDocument();
});

test('says that there is none, and what makes one', async () => {
  renderPage(<PreviewsPage />, { sidecar: new SidecarDouble().on('GET /previews', { items: [] }) });
  expect(await screen.findByText(/roadbed preview create/)).toBeInTheDocument();
});

test('shows each pull request with its parts, price and end', async () => {
  const { container } = renderPage(<PreviewsPage />, { sidecar: new SidecarDouble().on('GET /previews', { items: [preview] }) });
  const section = await screen.findByRole('region', { name: 'acme/orders #42' });
  expect(section).toHaveTextContent('$87.00 / month');
  expect(section).toHaveTextContent('copied from staging');
  const [orders, billing] = within(section).getAllByRole('row').slice(1);
  expect(within(orders).getByRole('link', { name: 'pr-42-orders' })).toHaveAttribute('href', '/catalog/dev/resource/pr-42-orders.postgres-database/status');
  expect(billing).toHaveTextContent('Incomplete');
  expect(await findFaults(container)).toEqual([]);
});

test('extends the whole by what is chosen', async () => {
  const path = `/previews/${PREVIEW_ID}/extend`;
  const sidecar = new SidecarDouble().on('GET /previews', { items: [preview] }).on(`POST ${path}`, { items: [] });
  renderPage(<PreviewsPage />, { sidecar });
  await userEvent.click(await screen.findByRole('button', { name: 'Extend the preview of acme/orders #42' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Extend pr-42' }));
  await waitFor(() => expect(sidecar.callsTo('POST', path)).toHaveLength(1));
  const [call] = sidecar.callsTo('POST', path);
  expect(call.body).toEqual({ by: '24h' });
  expect(call.headers.get('Idempotency-Key')).toBeTruthy();
  await waitFor(() => expect(screen.queryByRole('button', { name: 'Extend pr-42' })).not.toBeInTheDocument());
  expect(sidecar.callsTo('GET', '/previews')).toHaveLength(2);
});

test('says which part was not deleted, and why', async () => {
  const path = `/previews/${PREVIEW_ID}`;
  const sidecar = new SidecarDouble().on('GET /previews', { items: [preview] }).on(`DELETE ${path}`, {
    items: [
      { instance_id: INSTANCE_ID, name: 'pr-42-orders', offering: 'postgres-database' },
      { instance_id: OTHER_ID, name: 'pr-42-billing', offering: 'postgres-database', error: 'pr-42-billing is being changed.' },
    ],
  });
  renderPage(<PreviewsPage />, { sidecar });
  await userEvent.click(await screen.findByRole('button', { name: 'Delete the preview of acme/orders #42' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Delete pr-42' }));
  expect(await screen.findByText('pr-42-billing: pr-42-billing is being changed.')).toBeInTheDocument();
  expect(screen.getByText('1 of 2 were refused; the rest was asked for')).toBeInTheDocument();
  expect(sidecar.callsTo('DELETE', path)[0].headers.get('Idempotency-Key')).toBeTruthy();
});

test('says why nothing of it was accepted', async () => {
  const sidecar = new SidecarDouble().on('GET /previews', { items: [preview] }).on(`DELETE /previews/${PREVIEW_ID}`, () =>
    refusal(403, { name: 'NotAllowedError', message: 'Only members of group:default/payments may do this.' }),
  );
  renderPage(<PreviewsPage />, { sidecar });
  await userEvent.click(await screen.findByRole('button', { name: 'Delete the preview of acme/orders #42' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Delete pr-42' }));
  expect(await screen.findByText('Only members of group:default/payments may do this.')).toBeInTheDocument();
});
