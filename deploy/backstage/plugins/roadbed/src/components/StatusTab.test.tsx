import type { Entity } from '@backstage/catalog-model';
import { EntityProvider } from '@backstage/plugin-catalog-react';
import { act, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { formatExact } from '../format';
import { aBudgetLeft, aRequest, anApproval, anEntity, anInstance, INSTANCE_ID, overLimit, REQUEST_ID, someSteps } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { EventStream, json, never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { StatusTab } from './StatusTab';

const instanceRoute = `GET /instances/${INSTANCE_ID}`;
const requestRoute = `GET /requests/${REQUEST_ID}`;
const credentialsPath = `/instances/${INSTANCE_ID}/credentials`;

function renderTab(sidecar: SidecarDouble, entities: Entity[] = []) {
  return renderPage(
    <EntityProvider entity={anEntity}>
      <StatusTab />
    </EntityProvider>,
    { sidecar, entities },
  );
}

function aReadySidecar() {
  return new SidecarDouble()
    .on(instanceRoute, { instance: anInstance({ available_version: '1.3.0' }), requests: [aRequest()] })
    .on(requestRoute, { request: aRequest() })
    .on('GET /offerings/postgres-database', { id: 'postgres-database', version: '1.3.0', docs: 'https://docs.example.com' });
}

test('keeps the place of what is on its way', async () => {
  renderTab(new SidecarDouble().on(instanceRoute, never));
  expect(await screen.findByRole('status', { name: 'Loading the status' })).toBeInTheDocument();
});

test('says what cannot be shown, and shows it when it can be had again', async () => {
  const sidecar = aReadySidecar().on(instanceRoute, () =>
    refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' }),
  );
  renderTab(sidecar);
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('The status of orders-store cannot be shown right now');
  expect(alert).toHaveTextContent('The database is away.');

  sidecar.on(instanceRoute, { instance: anInstance(), requests: [aRequest()] });
  await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
  expect(await screen.findByRole('heading', { name: 'orders-store' })).toBeInTheDocument();
});

test('tells someone of another team whose it is, calmly', async () => {
  renderTab(
    new SidecarDouble().on(instanceRoute, () =>
      refusal(403, { name: 'NotAllowedError', message: 'group:default/payments owns it.' }),
    ),
  );
  expect(await screen.findByText('You may not see the status of orders-store')).toBeInTheDocument();
  expect(screen.queryByRole('alert')).not.toBeInTheDocument();
});

test('says what would be here before anything has been asked for', async () => {
  renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance(), requests: [] }));
  expect(await screen.findByRole('heading', { name: 'Nothing has been asked for' })).toBeInTheDocument();
  expect(screen.getByRole('link', { name: 'Ask for infrastructure' })).toHaveAttribute('href', '/create');
});

test('shows an instance: what it is, how it fares, what it costs and how to reach it', async () => {
  const { container } = renderTab(aReadySidecar());
  expect(await screen.findByRole('heading', { name: 'orders-store' })).toBeInTheDocument();
  expect(screen.getByText('Ready')).toBeInTheDocument();
  expect(screen.getByText('$85.50 / month')).toBeInTheDocument();
  expect(await screen.findByText('1.2.0 (1.3.0 available)')).toBeInTheDocument();
  expect(screen.getByText('orders-store.db.internal')).toBeInTheDocument();
  expect(screen.getByRole('link', { name: 'Dashboard' })).toHaveAttribute('href', 'https://grafana.example.com/d/1');
  expect(screen.getByRole('link', { name: 'Documentation' })).toHaveAttribute('href', 'https://docs.example.com');
  const cost = screen.getByRole('table', { name: 'Cost by item' });
  expect(within(cost).getByRole('row', { name: 'Backup $14.00' })).toBeInTheDocument();
  expect(within(cost).getByRole('row', { name: 'Each month $85.50' })).toBeInTheDocument();
  expect(screen.getByRole('link', { name: 'Create orders-store' })).toHaveAttribute(
    'href',
    `/infrastructure/requests/${REQUEST_ID}`,
  );
  expect(screen.getByRole('link', { name: 'Change' })).toHaveAttribute('href', `/infrastructure/resources/${INSTANCE_ID}/change`);
  await screen.findByRole('list', { name: 'Steps' });
  expect(await findFaults(container)).toEqual([]);
});

const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();

test.each([
  ['when it was used and measured', { state: 'used', used_at: hoursAgo(30), measured_at: hoursAgo(2), since: hoursAgo(900) }, 'yesterday, measured 2 h ago'],
  ['since when nobody has', { state: 'measuring', measured_at: hoursAgo(2), since: '2025-05-04T14:40:00Z' }, 'no use seen since 4 May 2025, measured 2 h ago'],
  ['that nothing measures it', { state: 'not_measured' }, 'not measured'],
  ['why it cannot be measured', { state: 'not_measured', failure: 'the server is away', measured_at: hoursAgo(50) }, 'not measured: the server is away'],
])('says of its use %s', async (_, activity, sentence) => {
  renderTab(aReadySidecar().on(`GET /instances/${INSTANCE_ID}/activity`, { instance_id: INSTANCE_ID, ...activity }));
  expect(await screen.findByText('Last used')).toBeInTheDocument();
  await waitFor(() => expect(screen.getByText('Last used').parentElement).toHaveTextContent(sentence));
});

test('says nothing of the use where that cannot be asked', async () => {
  renderTab(aReadySidecar().on(`GET /instances/${INSTANCE_ID}/activity`, () => refusal(503, { name: 'ServiceUnavailableError', message: 'away' })));
  expect(await screen.findByText('cannot be told right now')).toBeInTheDocument();
});

test('says what the budgets have left', async () => {
  const budgets = [aBudgetLeft({ left_after: 4310 }), aBudgetLeft({ kind: 'environment', name: 'dev', left_after: 914.5 })];
  renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance({ budgets }), requests: [aRequest()] }));
  expect(await screen.findByText('Budget left')).toBeInTheDocument();
  expect(screen.getByText('$4,310 (payments), $914.50 (dev)')).toBeInTheDocument();
});

test('new credentials are asked for once what that means was read', async () => {
  const sidecar = aReadySidecar()
    .on('GET /offerings/postgres-database', { id: 'postgres-database', version: '1.2.0', docs: '', rotates: true })
    .on(`POST /instances/${INSTANCE_ID}/rotate`, () => json({ request: aRequest({ action: 'rotate', state: 'queued' }) }, 202));
  renderTab(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: 'Actions for orders-store' }));
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Rotate credentials' }));
  const dialog = await screen.findByRole('dialog', { name: 'New credentials for orders-store?' });
  expect(dialog).toHaveTextContent('The old ones stop working as soon as the new ones are made');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Rotate credentials' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
  const [call] = sidecar.callsTo('POST', `/instances/${INSTANCE_ID}/rotate`);
  expect(call.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
});

test('another team is given an instance, once it is allowed to', async () => {
  const handOverPath = `/instances/${INSTANCE_ID}/hand-over`;
  const search = { apiVersion: 'backstage.io/v1alpha1', kind: 'Group', metadata: { name: 'search' }, spec: {} };
  const sidecar = aReadySidecar()
    .on('GET /offerings/postgres-database', { id: 'postgres-database', version: '1.2.0', docs: '', rotates: true })
    .on(`POST ${handOverPath}`, () =>
      refusal(403, { name: 'NotAllowedError', message: 'Not allowed in dev as asked.', findings: [overLimit] }),
    );
  renderTab(sidecar, [search]);
  await userEvent.click(await screen.findByRole('button', { name: 'Actions for orders-store' }));
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Hand over' }));
  const dialog = await screen.findByRole('dialog', { name: 'Hand over orders-store?' });
  expect(dialog).toHaveTextContent('gets its costs, $85.50 / month');
  expect(dialog).toHaveTextContent('Its credentials are made anew: the old ones stop working, and payments loses access.');
  const button = within(dialog).getByRole('button', { name: 'Hand over orders-store' });
  expect(button).toBeDisabled();

  await userEvent.type(within(dialog).getByRole('combobox', { name: /^Team/ }), 'sea');
  await userEvent.click(await screen.findByRole('option', { name: 'search' }));
  await userEvent.click(button);
  expect(await within(dialog).findByRole('list', { name: 'Findings' })).toHaveTextContent(overLimit.message);

  sidecar.on(`POST ${handOverPath}`, () => json({ request: aRequest({ action: 'hand_over', state: 'queued' }) }, 202));
  await userEvent.type(within(dialog).getByRole('textbox', { name: 'Cost center' }), 'CC-2001');
  await userEvent.click(button);
  await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
  const [first, second] = sidecar.callsTo('POST', handOverPath);
  expect(first.body).toEqual({ owner: 'search' });
  expect(second.body).toEqual({ owner: 'search', cost_center: 'CC-2001' });
  expect(second.headers.get('idempotency-key')).not.toBe(first.headers.get('idempotency-key'));
});

test('a team that the catalog does not list can be typed, and is told when there is no such team', async () => {
  const handOverPath = `/instances/${INSTANCE_ID}/hand-over`;
  const message = 'there is no team group:default/nobody with members in the catalog';
  const sidecar = aReadySidecar().on(`POST ${handOverPath}`, () => refusal(400, { name: 'InputError', message, details: [{ path: '/owner', message }] }));
  renderTab(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: 'Actions for orders-store' }));
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Hand over' }));
  const dialog = await screen.findByRole('dialog', { name: 'Hand over orders-store?' });
  expect(dialog).toHaveTextContent('what it knows of the credentials stays valid');
  await userEvent.type(within(dialog).getByRole('combobox', { name: /^Team/ }), 'nobody');
  await userEvent.tab();
  await userEvent.click(within(dialog).getByRole('button', { name: 'Hand over orders-store' }));
  expect(await within(dialog).findByText(message)).toBeInTheDocument();
  expect(within(dialog).getAllByText(message, { exact: false })).toHaveLength(1);
  expect(sidecar.callsTo('POST', handOverPath)[0].body).toEqual({ owner: 'nobody' });
});

test('says when it ends, and asks for more time', async () => {
  const extendPath = `/instances/${INSTANCE_ID}/extend`;
  const end = new Date(Date.now() + 3.5 * 60 * 60 * 1000);
  const sidecar = aReadySidecar()
    .on(instanceRoute, { instance: anInstance({ expires_at: end.toISOString() }), requests: [aRequest()] })
    .on(`POST ${extendPath}`, () => json({ request: aRequest({ action: 'extend', state: 'queued' }) }, 202));
  renderTab(sidecar);
  expect(await screen.findByText('Ends')).toBeInTheDocument();
  expect(screen.getByText('in 3 h')).toHaveAttribute('title', formatExact(end));
  await userEvent.click(screen.getByRole('button', { name: 'Actions for orders-store' }));
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Extend' }));
  const dialog = await screen.findByRole('dialog', { name: 'Extend orders-store?' });
  await userEvent.click(within(dialog).getByRole('button', { name: 'Extend orders-store' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
  expect(sidecar.callsTo('POST', extendPath)[0].body).toEqual({ by: '24h' });
});

test('says until when what has ended is kept', async () => {
  const hour = 60 * 60 * 1000;
  const ended = anInstance({
    expires_at: new Date(Date.now() - 2.5 * hour).toISOString(),
    destroy_at: new Date(Date.now() + 5.5 * hour).toISOString(),
  });
  renderTab(aReadySidecar().on(instanceRoute, { instance: ended, requests: [aRequest()] }));
  expect((await screen.findByText('Ended')).parentElement).toHaveTextContent('2 h ago, to be destroyed in 5 h');
});

test('says why nothing can be changed while a request runs', async () => {
  const why = 'request 1 (update) is still applying on orders-store; cancel it or wait for it to end';
  renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance({ changes_allowed: why }), requests: [aRequest()] }));
  const change = await screen.findByRole('button', { name: 'Change' });
  expect(change).toBeDisabled();
  expect(change).toHaveAccessibleDescription(`No change now: ${why}.`);
});

test('says what a request waits for when it needs an approval', async () => {
  const request = aRequest({ state: 'awaiting_approval', steps: someSteps(2), approval: anApproval() });
  const sidecar = aReadySidecar()
    .on(instanceRoute, { instance: anInstance({ state: 'reserved', outputs: null }), requests: [request] })
    .on(requestRoute, { request });
  const { container } = renderTab(sidecar);
  expect(await screen.findByText('Waits for platform-team')).toBeInTheDocument();
  const now = screen.getByRole('region', { name: 'Now' });
  expect(within(now).getByText('2 to add, 1 to change, 0 to remove')).toBeInTheDocument();
  expect(within(now).queryByRole('button', { name: 'Approve' })).not.toBeInTheDocument();
  expect(within(now).getByRole('button', { name: 'Withdraw this request' })).toBeInTheDocument();
  expect(screen.getAllByText('Being made')).not.toHaveLength(0);
  expect(await findFaults(container)).toEqual([]);
});

test('follows a request step by step, and says so to a screen reader', async () => {
  const events = new EventStream();
  let request = aRequest({ state: 'applying', steps: someSteps(2, 'in_progress'), sequence: 5 });
  let instance = anInstance({ state: 'reserved', outputs: null });
  const sidecar = aReadySidecar()
    .on(instanceRoute, () => json({ instance, requests: [request] }))
    .on(requestRoute, () => json({ request }))
    .on(`${requestRoute}/events stream`, events.response);
  renderTab(sidecar);

  const steps = await screen.findByRole('list', { name: 'Steps' });
  const current = within(steps).getByRole('listitem', { name: '3 Create database instance: in progress' });
  expect(current).toHaveAttribute('aria-current', 'step');
  expect(within(steps).getByRole('listitem', { name: '4 Configure monitoring: pending' })).toBeInTheDocument();
  await waitFor(() => expect(sidecar.callsTo('GET', `/requests/${REQUEST_ID}/events`)).toHaveLength(1));
  expect(sidecar.callsTo('GET', `/requests/${REQUEST_ID}/events`)[0].headers.get('last-event-id')).toBe('5');

  request = aRequest({ state: 'applying', steps: someSteps(3, 'in_progress'), sequence: 7 });
  events.send(6, 'step.completed');
  events.send(7, 'step.started');
  expect(
    await screen.findByRole('listitem', { name: '3 Create database instance: completed' }),
  ).toBeInTheDocument();
  expect(screen.getByText('Create orders-store: step 4 of 5, Configure monitoring, in progress')).toHaveAttribute(
    'role',
    'status',
  );

  request = aRequest({ sequence: 9 });
  instance = anInstance();
  events.send(9, 'request.succeeded');
  events.end();
  expect(await screen.findByText('Completed in 3 min 20 s')).toBeInTheDocument();
  expect(await screen.findByText('orders-store.db.internal')).toBeInTheDocument();
});

test('opens the password on demand only, and hides it again', async () => {
  const sidecar = aReadySidecar().on(`POST ${credentialsPath}`, {
    credentials: { username: 'orders_owner', password: 'hunter2', port: 5432, host: 'orders-store.db.internal' },
  });
  renderTab(sidecar);
  const show = await screen.findByRole('button', { name: 'Show password' });
  expect(screen.getByText('Each opening is recorded, with your name and the time.')).toBeInTheDocument();
  expect(sidecar.callsTo('POST', credentialsPath)).toHaveLength(0);
  expect(screen.queryByText('hunter2')).not.toBeInTheDocument();

  await userEvent.click(show);
  expect(await screen.findByText('hunter2')).toBeInTheDocument();
  expect(screen.getByText('orders_owner')).toBeInTheDocument();
  expect(screen.getAllByText('orders-store.db.internal')).toHaveLength(1);
  expect(sidecar.callsTo('POST', credentialsPath)).toHaveLength(1);

  await userEvent.click(screen.getByRole('button', { name: 'Hide password' }));
  expect(screen.queryByText('hunter2')).not.toBeInTheDocument();
});

test('offers no password for what has none', async () => {
  const site = anInstance({ outputs: { url: 'https://status.example.com' } });
  renderTab(aReadySidecar().on(instanceRoute, { instance: site, requests: [aRequest()] }));
  expect(await screen.findByRole('link', { name: /^URL/ })).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: 'Show password' })).not.toBeInTheDocument();
});

test('has nothing to connect to, and no cost, once it is destroyed', async () => {
  renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance({ state: 'destroyed' }), requests: [aRequest()] }));
  expect(await screen.findByText('There is nothing to connect to any more.')).toBeInTheDocument();
  expect(screen.queryByText('orders-store.db.internal')).not.toBeInTheDocument();
  expect(screen.queryByRole('heading', { name: 'Cost' })).not.toBeInTheDocument();
});

test('says who may open the password to someone who may not', async () => {
  renderTab(
    aReadySidecar().on(`POST ${credentialsPath}`, () => refusal(403, { name: 'NotAllowedError', message: 'Not yours.' })),
  );
  await userEvent.click(await screen.findByRole('button', { name: 'Show password' }));
  expect(await screen.findByText('Only payments may open these')).toBeInTheDocument();
});

test('tells a failure by its step, with the provider’s words and the way out', async () => {
  const failed = aRequest({
    state: 'failed',
    steps: someSteps(2, 'failed'),
    error: {
      message: 'The database instance could not be created.',
      step: 3,
      steps: 5,
      name: 'Create database instance',
      detail: 'InsufficientDBInstanceCapacity',
      way_out: 'Ask again with another size.',
    },
  });
  renderTab(
    aReadySidecar()
      .on(instanceRoute, { instance: anInstance({ state: 'incomplete', outputs: null }), requests: [failed] })
      .on(requestRoute, { request: failed })
      .on(`POST /requests/${REQUEST_ID}/retry`, () => refusal(409, { name: 'ConflictError', message: 'orders-store has been asked for anew' }))
      .on(`${requestRoute}/logs`, { items: [{ position: 1, at: '2026-05-03T14:31:00Z', text: 'apply began' }] }),
  );
  expect(await screen.findByText('Failed at step 3 of 5: Create database instance')).toBeInTheDocument();
  expect(screen.getByText('InsufficientDBInstanceCapacity')).toBeInTheDocument();
  expect(screen.getByText('What you can do: Ask again with another size.')).toBeInTheDocument();
  expect(screen.getByRole('listitem', { name: '3 Create database instance: failed' })).toBeInTheDocument();
  await userEvent.click(screen.getByRole('button', { name: 'Retry' }));
  expect(await screen.findByText('orders-store has been asked for anew')).toBeInTheDocument();

  await userEvent.click(screen.getByRole('button', { name: 'See log' }));
  expect(await screen.findByRole('log', { name: 'Log' })).toHaveTextContent('apply began');

  await userEvent.click(screen.getByRole('button', { name: 'Destroy what was made' }));
  expect(await screen.findByRole('dialog', { name: 'Destroy orders-store?' })).toBeInTheDocument();
});

test('destroys by keyboard alone, once the name has been typed', async () => {
  const destroyPath = `/instances/${INSTANCE_ID}/destroy`;
  const sidecar = aReadySidecar().on(instanceRoute, { instance: anInstance(), requests: [aRequest()] });
  const destroy = aRequest({ id: 'destroy-1', action: 'destroy', state: 'queued', steps: [], sequence: 1 });
  sidecar
    .on(`POST ${destroyPath}`, () => {
      sidecar.on(instanceRoute, { instance: anInstance({ state: 'destroying' }), requests: [destroy, aRequest()] });
      return json({ request: destroy }, 202);
    })
    .on('GET /requests/destroy-1', { request: destroy });
  const user = userEvent.setup();
  renderTab(sidecar);

  const actions = await screen.findByRole('button', { name: 'Actions for orders-store' });
  act(() => actions.focus());
  await user.keyboard('{Enter}');
  const item = await screen.findByRole('menuitem', { name: 'Destroy orders-store' });
  await waitFor(() => expect(screen.getAllByRole('menuitem')[0]).toHaveFocus());
  await user.keyboard('{End}');
  await waitFor(() => expect(item).toHaveFocus());
  await user.keyboard('{Enter}');

  const field = await screen.findByRole('textbox', { name: 'Type orders-store to confirm' });
  await waitFor(() => expect(field).toHaveFocus());
  const button = screen.getByRole('button', { name: 'Destroy orders-store' });
  expect(button).toBeDisabled();
  await user.keyboard('orders');
  expect(button).toBeDisabled();
  await user.keyboard('-store');
  expect(button).toBeEnabled();
  await user.keyboard('{Enter}');

  await waitFor(() => expect(sidecar.callsTo('POST', destroyPath)).toHaveLength(1));
  expect(sidecar.callsTo('POST', destroyPath)[0].headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
  expect(await screen.findByText('Being destroyed')).toBeInTheDocument();
  expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
});

test('names what takes from it, and does not ask for its end while something does', async () => {
  const shop = {
    instance_id: '01980000-0000-7000-8000-0000000000bb',
    entity_ref: 'resource:dev/shop.static-site',
    name: 'shop',
    offering: 'static-site',
    owner: 'group:default/web',
    parameter: 'database',
    output: 'endpoint',
  };
  const links = [{ parameter: 'network', instance_id: shop.instance_id, entity_ref: 'resource:dev/net.vpc', output: 'id' }];
  const user = userEvent.setup();
  renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance({ dependants: [shop], links }), requests: [aRequest()] }));
  expect((await screen.findByText('Taken by')).parentElement).toHaveTextContent('shop.static-site');
  expect(screen.getByText('Takes from').parentElement).toHaveTextContent('net.vpc');
  await user.click(screen.getByRole('button', { name: 'Actions for orders-store' }));
  await user.click(await screen.findByRole('menuitem', { name: 'Destroy orders-store' }));
  const dialog = await screen.findByRole('dialog', { name: 'orders-store cannot be destroyed yet' });
  expect(within(dialog).getByRole('list', { name: 'Dependants' })).toHaveTextContent('shop.static-site of web takes its endpoint');
  expect(within(dialog).queryByRole('textbox')).not.toBeInTheDocument();
  await user.click(within(dialog).getByRole('button', { name: 'Keep orders-store' }));
  await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
});

test('says where a last snapshot is kept before it destroys, and once it has', async () => {
  const kept = { outputs: { endpoint: 'orders.local', last_snapshot: '/snapshots/orders_ab12cd34.dump' } };
  const { unmount } = renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance(kept), requests: [aRequest()] }));
  await userEvent.click(await screen.findByRole('button', { name: 'Actions for orders-store' }));
  expect(screen.queryByText('/snapshots/orders_ab12cd34.dump')).not.toBeInTheDocument();
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Destroy orders-store' }));
  const dialog = await screen.findByRole('dialog', { name: 'Destroy orders-store?' });
  expect(dialog).toHaveTextContent('What stays is a last snapshot');
  expect(dialog).toHaveTextContent('/snapshots/orders_ab12cd34.dump');
  expect(dialog).not.toHaveTextContent('cannot be undone');
  unmount();
  renderTab(aReadySidecar().on(instanceRoute, { instance: anInstance({ ...kept, state: 'destroyed' }), requests: [aRequest()] }));
  expect(await screen.findByText('There is nothing to connect to any more.')).toBeInTheDocument();
  expect(screen.getByRole('region', { name: 'Connect' })).toHaveTextContent('Last snapshot/snapshots/orders_ab12cd34.dump');
});

test('gives the focus back when nothing is to be destroyed after all', async () => {
  const user = userEvent.setup();
  renderTab(aReadySidecar());
  const actions = await screen.findByRole('button', { name: 'Actions for orders-store' });
  await user.click(actions);
  await user.click(await screen.findByRole('menuitem', { name: 'Destroy orders-store' }));
  await screen.findByRole('textbox', { name: 'Type orders-store to confirm' });
  await user.keyboard('{Escape}');
  await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
  await waitFor(() => expect(actions).toHaveFocus());
});

test('cancels after saying what that means', async () => {
  const running = aRequest({ state: 'applying', steps: someSteps(2, 'in_progress') });
  const cancelPath = `/requests/${REQUEST_ID}/cancel`;
  const sidecar = aReadySidecar()
    .on(requestRoute, { request: running })
    .on(`${requestRoute}/events stream`, new EventStream().response)
    .on(`POST ${cancelPath}`, () => json({ request: { ...running, cancel_reason: 'asked by ann' } }, 202));
  renderTab(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: 'Cancel this request' }));
  const dialog = await screen.findByRole('dialog', { name: 'Cancel this request?' });
  expect(dialog).toHaveTextContent('What has been made so far stays');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Cancel the request' }));
  expect(await screen.findByText('Cancelling')).toBeInTheDocument();
  expect(screen.getByRole('button', { name: 'Already being cancelled' })).toBeDisabled();
});
