import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { anInstance } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { Resources } from './Resources';

function renderResources(sidecar: SidecarDouble, path = '/infrastructure/resources') {
  return renderPage(<Resources />, { sidecar, path });
}

test('keeps the place of what is on its way', async () => {
  renderResources(new SidecarDouble().on('GET /instances', never));
  expect(await screen.findByRole('status', { name: 'Loading the resources' })).toBeInTheDocument();
});

test('says what would be here, and leads to where it begins', async () => {
  renderResources(new SidecarDouble().on('GET /instances', { items: [], next: '' }));
  expect(await screen.findByRole('heading', { name: 'Nothing is running yet' })).toBeInTheDocument();
});

test('says why it cannot be shown', async () => {
  const sidecar = new SidecarDouble().on('GET /instances', () =>
    refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' }),
  );
  renderResources(sidecar);
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('What runs goes on running');
  sidecar.on('GET /instances', { items: [anInstance()], next: '' });
  await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
  expect(await screen.findByRole('table', { name: 'Resources' })).toBeInTheDocument();
});

test('lists what lives, with its owner, state and cost, and leads to its page', async () => {
  const items = [anInstance(), anInstance({ id: '2', name: 'ledger', state: 'incomplete', monthly_cost: null })];
  const { container } = renderResources(new SidecarDouble().on('GET /instances', { items, next: '' }));
  await screen.findByRole('table', { name: 'Resources' });
  expect(screen.getByRole('link', { name: 'orders-store' })).toHaveAttribute(
    'href',
    '/catalog/dev/resource/orders-store.postgres-database/status',
  );
  const [, first, second] = screen.getAllByRole('row');
  expect(first).toHaveTextContent('Ready');
  expect(first).toHaveTextContent('$85.50 / month');
  expect(second).toHaveTextContent('Incomplete');
  expect(second).toHaveTextContent('Price unknown');
  expect(screen.getByText('2 resources shown, $85.50 / month together')).toBeInTheDocument();
  expect(await findFaults(container)).toEqual([]);
});

test('takes its filters from the address', async () => {
  const sidecar = new SidecarDouble().on('GET /instances', { items: [], next: '' });
  renderResources(sidecar, '/infrastructure/resources?owner=group:default/payments&offering=postgres-database');
  await screen.findByRole('heading', { name: 'No resource matches' });
  const { query } = sidecar.callsTo('GET', '/instances')[0];
  expect(query.get('owner')).toBe('group:default/payments');
  expect(query.get('offering')).toBe('postgres-database');
});
