import { screen, within } from '@testing-library/react';
import type { DriftGroup } from '../api/types';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { DriftPage } from './DriftPage';

function aGroup(change: Partial<DriftGroup> = {}, instances = 1): DriftGroup {
  return {
    cause: '7f3a9c0011223344',
    title: 'connection_limit of postgres_database.main is 7',
    offering: 'postgres-database',
    offering_name: 'PostgreSQL database',
    type: 'postgres_database',
    attribute: 'connection_limit',
    kind: 'changed',
    first_seen: '2026-05-03T14:40:00Z',
    last_seen: '2026-05-04T14:40:00Z',
    monthly_difference: 15.3,
    instances: Array.from({ length: instances }, (_, n) => ({
      id: `01980000-0000-7000-8000-0000000000${n + 10}`,
      name: `orders-${n}`,
      environment: 'dev',
      owner: 'group:default/payments',
      entity_ref: `resource:dev/orders-${n}.postgres-database`,
      expected: 50,
      actual: 7,
    })),
    ...change,
  };
}

test('keeps the place of what is on its way', async () => {
  renderPage(<DriftPage />, { sidecar: new SidecarDouble().on('GET /drift', never) });
  expect(await screen.findByRole('status', { name: 'Loading the drift' })).toBeInTheDocument();
});

test('says what cannot be shown', async () => {
  renderPage(<DriftPage />, {
    sidecar: new SidecarDouble().on('GET /drift', () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' })),
  });
  expect(await screen.findByRole('alert')).toHaveTextContent('The drift cannot be shown right now');
});

test('says that there is none', async () => {
  renderPage(<DriftPage />, { sidecar: new SidecarDouble().on('GET /drift', { items: [] }) });
  expect(await screen.findByRole('heading', { name: 'No drift detected' })).toBeInTheDocument();
});

test('shows one cause once, with what it is found on and what it costs to adopt', async () => {
  const gone = aGroup({ cause: 'b', title: 'postgres_role.monitor is gone', monthly_difference: null });
  const { container } = renderPage(<DriftPage />, { sidecar: new SidecarDouble().on('GET /drift', { items: [aGroup({}, 7), gone] }) });
  const table = await screen.findByRole('table', { name: 'Drift' });
  const [first, second] = within(table).getAllByRole('row').slice(1);
  expect(within(first).getByText('connection_limit of postgres_database.main is 7')).toBeInTheDocument();
  expect(within(first).getByRole('link', { name: 'orders-0 · dev' })).toHaveAttribute('href', '/catalog/dev/resource/orders-0.postgres-database/status');
  expect(within(first).getByText('and 2 more')).toBeInTheDocument();
  expect(within(first).getByText('+$15.30')).toBeInTheDocument();
  expect(within(second).getByText('cannot be adopted')).toBeInTheDocument();
  expect(await findFaults(container)).toEqual([]);
});
