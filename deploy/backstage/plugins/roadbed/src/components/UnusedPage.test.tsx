import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { UnusedFinding, UnusedList } from '../api/types';
import { INSTANCE_ID } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { UnusedPage } from './UnusedPage';

const orders: UnusedFinding = {
  type: 'postgres-database',
  id: INSTANCE_ID,
  name: 'orders',
  environment: 'dev',
  entity_ref: 'resource:dev/orders.postgres-database',
  reason: 'no connections in 30 days',
  monthly_cost: 85.5,
  owner: 'group:default/payments',
  unused_since: '2026-05-03T14:40:00Z',
  measured_at: '2026-05-04T14:40:00Z',
};

function listOf(...items: UnusedFinding[]): UnusedList {
  const saving = items.reduce((sum, item) => sum + item.monthly_cost, 0);
  return {
    count: items.length,
    monthly_saving: saving,
    items: items.length ? [{ owner: 'group:default/payments', count: items.length, monthly_saving: saving, items }] : [],
  };
}

test('keeps the place of what is on its way', async () => {
  renderPage(<UnusedPage />, { sidecar: new SidecarDouble().on('GET /unused', never) });
  expect(await screen.findByRole('status', { name: 'Loading what is unused' })).toBeInTheDocument();
});

test('says what cannot be shown', async () => {
  renderPage(<UnusedPage />, {
    sidecar: new SidecarDouble().on('GET /unused', () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' })),
  });
  expect(await screen.findByRole('alert')).toBeInTheDocument();
});

test('says that there is none, and that what is not measured is never unused', async () => {
  renderPage(<UnusedPage />, { sidecar: new SidecarDouble().on('GET /unused', listOf()) });
  expect(await screen.findByText(/What is not measured is never/)).toBeInTheDocument();
});

test('shows an owner what they could save, and what was answered', async () => {
  const answered: UnusedFinding = {
    ...orders,
    id: '01980000-0000-7000-8000-000000000099',
    name: 'report',
    monthly_cost: 14.5,
    answer: { kind: 'needed', until: '2999-01-01T00:00:00Z', by: 'user:default/ann', reason: 'the yearly report', at: '2026-05-04T14:40:00Z' },
  };
  const { container } = renderPage(<UnusedPage />, { sidecar: new SidecarDouble().on('GET /unused', listOf(orders, answered)) });
  expect(await screen.findByRole('heading', { name: /payments: 2 unused, \$100\.00/ })).toBeInTheDocument();
  const [first, second] = within(screen.getByRole('table')).getAllByRole('row').slice(1);
  expect(within(first).getByText('no connections in 30 days')).toBeInTheDocument();
  expect(within(first).getByRole('link', { name: 'orders' })).toHaveAttribute('href', '/catalog/dev/resource/orders.postgres-database/status');
  expect(second).toHaveTextContent('Needed until');
  expect(second).toHaveTextContent('the yearly report');
  expect(await findFaults(container)).toEqual([]);
});

test('takes for what it is needed', async () => {
  const path = `/instances/${INSTANCE_ID}/unused/needed`;
  const sidecar = new SidecarDouble().on('GET /unused', listOf(orders)).on(`POST ${path}`, { instance_id: INSTANCE_ID, state: 'unused' });
  renderPage(<UnusedPage />, { sidecar });
  await userEvent.click(await screen.findByRole('button', { name: 'Say until when orders is needed' }));
  const keep = await screen.findByRole('button', { name: 'Keep orders' });
  expect(keep).toBeDisabled();
  await userEvent.type(screen.getByLabelText(/What it is needed for/), 'the yearly report');
  await userEvent.click(keep);
  await waitFor(() => expect(sidecar.callsTo('POST', path)).toHaveLength(1));
  expect(sidecar.callsTo('POST', path)[0].body).toMatchObject({ reason: 'the yearly report' });
  await waitFor(() => expect(screen.queryByRole('button', { name: 'Keep orders' })).not.toBeInTheDocument());
});
