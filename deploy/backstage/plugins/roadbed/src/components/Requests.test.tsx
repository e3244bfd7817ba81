import { act, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { aDatabase, aRequest, anEntity, estimate, overLimit, REQUEST_ID, someSteps } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { EventStream, json, never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { Requests } from './Requests';

const listPath = '/infrastructure/requests';
const requestPath = `${listPath}/${REQUEST_ID}`;
const requestRoute = `GET /requests/${REQUEST_ID}`;

function renderRequests(sidecar: SidecarDouble, path: string, entities = [anEntity]) {
  return renderPage(<Requests />, { sidecar, path, entities });
}

describe('the list', () => {
  test('keeps the place of what is on its way', async () => {
    renderRequests(new SidecarDouble().on('GET /requests', never), listPath);
    expect(await screen.findByRole('status', { name: 'Loading the requests' })).toBeInTheDocument();
  });

  test('says what would be here, and leads to where it begins', async () => {
    renderRequests(new SidecarDouble().on('GET /requests', { items: [], next: '' }), listPath);
    const heading = await screen.findByRole('heading', { name: 'You have not asked for anything yet' });
    expect(within(heading.parentElement!).getByRole('link', { name: 'Ask for infrastructure' })).toHaveAttribute(
      'href',
      '/create',
    );
  });

  test('says why it cannot be shown, and tries again when asked', async () => {
    const sidecar = new SidecarDouble().on('GET /requests', () =>
      refusal(500, { name: 'Error', message: 'internal error logId=42' }),
    );
    renderRequests(sidecar, listPath);
    const alert = await screen.findByRole('alert');
    expect(alert).toHaveTextContent('internal error logId=42');
    sidecar.on('GET /requests', { items: [aRequest()], next: '' });
    await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
    expect(await screen.findByRole('link', { name: 'Create orders-store' })).toBeInTheDocument();
  });

  test('shows the most urgent first, and more when asked, without moving a row', async () => {
    const first = [
      aRequest({ id: '1', name: 'done', state: 'succeeded', created_at: '2026-05-05T00:00:00Z' }),
      aRequest({ id: '2', name: 'broken', state: 'failed', created_at: '2026-05-04T00:00:00Z' }),
      aRequest({ id: '3', name: 'waiting', state: 'queued', created_at: '2026-05-03T00:00:00Z' }),
      aRequest({ id: '4', name: 'going', state: 'applying', created_at: '2026-05-02T00:00:00Z' }),
    ];
    const second = [aRequest({ id: '5', name: 'older', state: 'applying', created_at: '2026-05-01T00:00:00Z' })];
    const sidecar = new SidecarDouble().on('GET /requests', call =>
      json(call.query.get('cursor') === 'next' ? { items: second, next: '' } : { items: first, next: 'next' }),
    );
    const { container } = renderRequests(sidecar, listPath);
    await screen.findByRole('table', { name: 'Requests' });
    const names = () => screen.getAllByRole('rowheader').map(header => within(header).getByRole('link').textContent);
    expect(names()).toEqual(['Create going', 'Create waiting', 'Create broken', 'Create done']);
    expect(screen.getByRole('link', { name: 'Create going' })).toHaveAttribute('href', `${listPath}/4`);
    expect(await findFaults(container)).toEqual([]);

    await userEvent.click(screen.getByRole('button', { name: 'Load more' }));
    await waitFor(() => expect(names()).toHaveLength(5));
    expect(names().at(-1)).toBe('Create older');
    expect(screen.queryByRole('button', { name: 'Load more' })).not.toBeInTheDocument();
  });

  test('shows one’s own to begin with, and takes its filters from the address', async () => {
    const sidecar = new SidecarDouble().on('GET /requests', { items: [], next: '' });
    renderRequests(sidecar, `${listPath}?show=group:default/payments&state=waiting&environment=dev`);
    await screen.findByRole('heading', { name: 'No request matches' });
    const { query } = sidecar.callsTo('GET', '/requests')[0];
    expect(Object.fromEntries(query)).toEqual({
      owner: 'group:default/payments',
      state: 'submitted,queued,awaiting_approval',
      environment: 'dev',
      limit: '25',
    });

    await userEvent.click(screen.getAllByRole('button', { name: 'Clear filters' })[0]);
    await screen.findByRole('heading', { name: 'You have not asked for anything yet' });
    expect(Object.fromEntries(sidecar.callsTo('GET', '/requests').at(-1)!.query)).toEqual({ mine: 'true', limit: '25' });
  });

  test('narrows by what is chosen', async () => {
    const sidecar = new SidecarDouble().on('GET /requests', { items: [aRequest()], next: '' });
    renderRequests(sidecar, listPath);
    await screen.findByRole('table', { name: 'Requests' });
    await userEvent.click(screen.getByRole('button', { name: /State/ }));
    await userEvent.click(await screen.findByRole('option', { name: 'Failed' }));
    await waitFor(() => expect(sidecar.callsTo('GET', '/requests').at(-1)!.query.get('state')).toBe('failed'));
  });
});

describe('a request', () => {
  test('keeps the place of what is on its way', async () => {
    renderRequests(new SidecarDouble().on(requestRoute, never), requestPath);
    expect(await screen.findByRole('status', { name: 'Loading the request' })).toBeInTheDocument();
  });

  test('that is not there is told with a way on', async () => {
    renderRequests(new SidecarDouble(), requestPath);
    expect(await screen.findByText(`Cannot find request ${REQUEST_ID}`)).toBeInTheDocument();
    expect(screen.getByRole('link', { name: 'See all requests' })).toHaveAttribute('href', listPath);
  });

  test('leads to what it takes from', async () => {
    const taking = { ...aDatabase.parameters[0], name: 'upstream', title: 'Upstream', takes: { offering: 'queue', output: 'url' } };
    renderRequests(
      new SidecarDouble()
        .on(requestRoute, { request: aRequest({ parameters: { upstream: 'resource:dev/mails.queue' } }) })
        .on('GET /offerings/postgres-database', { ...aDatabase, parameters: [taking] }),
      requestPath,
    );
    await screen.findByText('Upstream');
    const asked = within(screen.getByRole('region', { name: 'Asked for' }));
    expect(asked.getByRole('link')).toHaveAttribute('href', '/catalog/dev/resource/mails.queue');
  });

  test('shows what was asked, keeps what is secret, and leads to the catalog', async () => {
    const { container } = renderRequests(
      new SidecarDouble()
        .on(requestRoute, { request: aRequest({ parameters: { initial_password: { set: true }, multi_az: false, storage_gb: 100, database_name: 'orders-store' } }) })
        .on('GET /offerings/postgres-database', aDatabase),
      requestPath,
    );
    expect(await screen.findByRole('heading', { name: 'Create orders-store' })).toBeInTheDocument();
    expect(await screen.findByText('Storage (GB)')).toBeInTheDocument();
    const asked = screen.getByRole('region', { name: 'Asked for' });
    expect(within(asked).getAllByRole('term').map(term => term.textContent)).toEqual([
      'Database name',
      'Storage (GB)',
      'Multi-AZ',
      'Initial password',
      'Request id',
    ]);
    expect(screen.getByText('set, and kept secret')).toBeInTheDocument();
    expect(screen.getByText('Allowed in dev.')).toBeInTheDocument();
    expect(await screen.findByRole('link', { name: 'Open orders-store' })).toHaveAttribute(
      'href',
      '/catalog/dev/resource/orders-store.postgres-database/status',
    );
    expect(await findFaults(container)).toEqual([]);
  });

  test('does not lead to the catalog before the catalog has it', async () => {
    renderRequests(new SidecarDouble().on(requestRoute, { request: aRequest() }), requestPath, []);
    expect(await screen.findByText('Its page in the catalog opens in a moment')).toBeInTheDocument();
    expect(screen.queryByRole('link', { name: 'Open orders-store' })).not.toBeInTheDocument();
  });

  test('that was denied is an answer: the reasons, the way out, and the form as it was', async () => {
    const denied = aRequest({ state: 'denied', outcome: 'deny', instance_id: null, findings: [overLimit], steps: [] });
    renderRequests(
      new SidecarDouble().on(requestRoute, { request: denied }).on('GET /offerings/postgres-database', aDatabase),
      requestPath,
    );
    expect(await screen.findByText('Not allowed in dev as asked')).toBeInTheDocument();
    expect(screen.getByText(/Nothing was made and nothing is charged/)).toBeInTheDocument();
    const findings = screen.getByRole('list', { name: 'Findings' });
    expect(findings).toHaveTextContent("$171.00 a month is over dev's limit of $100.00 by $71.00.");
    expect(findings).toHaveTextContent('What you can do: Turn off multi-AZ.');
    expect(await screen.findByText('Ask #platform-team.')).toBeInTheDocument();
    expect(screen.queryByRole('alert')).not.toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Log' })).not.toBeInTheDocument();

    const again = screen.getByRole('link', { name: 'Change it and ask again' });
    const { pathname, searchParams } = new URL(again.getAttribute('href')!, 'http://portal');
    expect(pathname).toBe('/create/templates/default/postgres-database');
    expect(JSON.parse(searchParams.get('formData')!)).toEqual({
      database_name: 'orders-store',
      storage_gb: 100,
      multi_az: false,
    });
  });

  test('shows what its plan does as soon as there is one, what that costs and what has no price', async () => {
    const planned = aRequest({
      state: 'queued',
      waiting: '2nd in line for pool dev; 4 of 4 slots busy',
      steps: someSteps(2),
      plan: { create: 2, update: 0, replace: 0, delete: 0, changes: [{ address: 'module.site.local_file.page', type: 'local_file', action: 'create' }] },
      plan_estimate: { ...estimate, monthly_cost: 90, monthly_total: 90, unpriced: [{ address: 'module.site.random_id.salt', type: 'random_id' }] },
    });
    const { container } = renderRequests(
      new SidecarDouble().on(requestRoute, { request: planned }).on(`${requestRoute}/events stream`, new EventStream().response),
      requestPath,
    );
    const plan = await screen.findByRole('region', { name: 'Plan' });
    expect(plan).toHaveTextContent('2 to add, 0 to change, 0 to remove');
    expect(plan).toHaveTextContent('$90.00 / month, $4.50 more than the form said');
    expect(within(plan).getByRole('list', { name: 'Without a price' })).toHaveTextContent('module.site.random_id.salt');
    expect(within(plan).getByRole('list', { name: 'Planned changes', hidden: true })).toHaveTextContent('Add module.site.local_file.page');
    expect(screen.getByText('2nd in line for pool dev; 4 of 4 slots busy')).toBeInTheDocument();
    expect(await findFaults(container)).toEqual([]);
  });

  test('says nothing of the price of a plan that costs what the form said', async () => {
    const plan = { create: 1, update: 0, replace: 0, delete: 0, changes: [] };
    renderRequests(new SidecarDouble().on(requestRoute, { request: aRequest({ plan, plan_estimate: estimate }) }), requestPath);
    expect(await screen.findByRole('region', { name: 'Plan' })).toHaveTextContent('1 to add, 0 to change, 0 to remove');
    expect(screen.queryByText("Plan's price")).not.toBeInTheDocument();
  });

  test('says what it waits for, and whom', async () => {
    const waiting = aRequest({
      state: 'awaiting_approval',
      waiting: 'platform-team may approve until tomorrow',
      outcome: 'require_approval',
      findings: [{ ...overLimit, level: 'require_approval' }],
      steps: someSteps(1),
    });
    renderRequests(
      new SidecarDouble().on(requestRoute, { request: waiting }).on(`${requestRoute}/events stream`, new EventStream().response),
      requestPath,
    );
    expect(await screen.findByText('Waiting for approval')).toBeInTheDocument();
    expect(screen.getByText(/^platform-team may approve until tomorrow\. Nothing is made/)).toBeInTheDocument();
    expect(screen.getAllByRole('list', { name: 'Findings' })).toHaveLength(1);
  });

  test('writes its log as it comes, from the first line on and none twice', async () => {
    const log = new EventStream();
    const line = (position: number, text: string) => ({ position, at: '2026-05-03T14:31:00Z', text });
    const sidecar = new SidecarDouble()
      .on(requestRoute, { request: aRequest({ state: 'applying', steps: someSteps(2, 'in_progress') }) })
      .on(`${requestRoute}/events stream`, new EventStream().response)
      .on(`${requestRoute}/logs`, { items: [line(1, 'init'), line(2, 'plan')] })
      .on(`${requestRoute}/logs stream`, log.response);
    renderRequests(sidecar, requestPath);
    await userEvent.click(await screen.findByRole('button', { name: /^Log/ }));
    const lines = await screen.findByRole('log', { name: 'Log' });
    expect(lines).toHaveAttribute('aria-live', 'off');
    const streams = () =>
      sidecar.callsTo('GET', `/requests/${REQUEST_ID}/logs`).filter(call => call.headers.has('last-event-id'));
    await waitFor(() => expect(streams()).toHaveLength(1));
    expect(streams()[0].headers.get('last-event-id')).toBe('2');

    log.send(2, 'log', line(2, 'plan'));
    log.send(3, 'log', line(3, 'apply'));
    await waitFor(() => expect(lines).toHaveTextContent('apply'));
    expect(within(lines).getAllByText('plan')).toHaveLength(1);
  });

  test('is looked at again and again while no events can be had', async () => {
    jest.useFakeTimers({ advanceTimers: true });
    try {
      let request = aRequest({ state: 'applying', steps: someSteps(2, 'in_progress') });
      const sidecar = new SidecarDouble()
        .on(requestRoute, () => json({ request }))
        .on(`${requestRoute}/events stream`, () => refusal(404, { name: 'NotFoundError', message: 'no stream here' }));
      renderRequests(sidecar, requestPath);
      await screen.findByRole('listitem', { name: '3 Create database instance: in progress' });
      request = aRequest();
      await act(() => jest.advanceTimersByTimeAsync(5_100));
      expect(await screen.findByText('Completed in 3 min 20 s')).toBeInTheDocument();
    } finally {
      jest.useRealTimers();
    }
  });
});
