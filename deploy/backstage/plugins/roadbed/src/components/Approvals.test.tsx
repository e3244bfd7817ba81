import { act, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { InfrastructureRequest } from '../api/types';
import { anApproval, aRequest, overLimit, REQUEST_ID, someSteps } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { EventStream, json, never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { ApprovalsPage } from './ApprovalsPage';
import { Requests } from './Requests';

const tabPath = '/infrastructure/approvals';
const requestPath = `/infrastructure/requests/${REQUEST_ID}`;
const requestRoute = `GET /requests/${REQUEST_ID}`;
const reason = { ...overLimit, level: 'require_approval' as const, way_out: 'Ask for approval.' };

function aWaiting(change: Partial<InfrastructureRequest> = {}) {
  return aRequest({
    state: 'awaiting_approval',
    status: 'validating',
    outcome: 'require_approval',
    findings: [reason],
    approval: anApproval(),
    steps: someSteps(1),
    ...change,
  });
}

function toApprove() {
  return aWaiting({ requested_by: 'user:default/ben', approval: anApproval({ may_approve: true }) });
}

function anApproved(given = [{ by: 'user:default/ann', at: '2026-05-03T14:32:00Z', reason: 'Black Friday' }]) {
  return aWaiting({
    requested_by: 'user:default/ben',
    state: 'queued',
    waiting: 'a worker',
    sequence: 13,
    approval: anApproval({ given, granted: true, expires_at: null }),
  });
}

describe('the tab', () => {
  const renderTab = (sidecar: SidecarDouble) => renderPage(<ApprovalsPage />, { sidecar, path: tabPath });

  test('keeps the place of what is on its way', async () => {
    renderTab(new SidecarDouble().on('GET /approvals', never));
    expect(await screen.findByRole('status', { name: 'Loading the approvals' })).toBeInTheDocument();
  });

  test('says so when nothing waits', async () => {
    renderTab(new SidecarDouble().on('GET /approvals', { items: [], next: '' }));
    expect(await screen.findByRole('heading', { name: 'Nothing waits for you' })).toBeInTheDocument();
  });

  test('says why it cannot be shown, and tries again when asked', async () => {
    const sidecar = new SidecarDouble().on('GET /approvals', () => refusal(500, { name: 'Error', message: 'internal error logId=42' }));
    renderTab(sidecar);
    const alert = await screen.findByRole('alert');
    expect(alert).toHaveTextContent('internal error logId=42');
    sidecar.on('GET /approvals', { items: [toApprove()], next: '' });
    await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
    expect(await screen.findByRole('link', { name: 'Create orders-store' })).toBeInTheDocument();
  });

  test('shows who asks for what, why, at which price and until when, as the sidecar orders it', async () => {
    const items = [toApprove(), { ...toApprove(), id: 'second', name: 'ledger' }];
    const { container } = renderTab(new SidecarDouble().on('GET /approvals', { items, next: '' }));
    const table = await screen.findByRole('table', { name: 'Approvals' });
    const [, first, second] = within(table).getAllByRole('row');
    expect(within(first).getByRole('link', { name: 'Create orders-store' })).toHaveAttribute('href', requestPath);
    expect(first).toHaveTextContent(/by ben for payments/);
    expect(first).toHaveTextContent(reason.message);
    expect(first).toHaveTextContent('2 to add, 1 to change, 0 to remove');
    expect(first).toHaveTextContent('in 26 h');
    expect(first).toHaveTextContent('$85.50 / month');
    expect(second).toHaveTextContent('Create ledger');
    expect(await findFaults(container)).toEqual([]);
  });
});

describe('a request that waits', () => {
  function renderRequest(request: InfrastructureRequest, sidecar = new SidecarDouble()) {
    sidecar.on(requestRoute, { request }).on(`${requestRoute}/events stream`, new EventStream().response);
    return { sidecar, ...renderPage(<Requests />, { sidecar, path: requestPath }) };
  }

  test('tells its requester whom it waits for, until when and why, and can be withdrawn only', async () => {
    const { container } = renderRequest(aWaiting());
    expect(await screen.findByText('Waits for platform-team')).toBeInTheDocument();
    expect(await screen.findByText(/You cannot approve your own request\./)).toHaveTextContent('it is denied in 26 h');
    expect(screen.getByText('2 to add, 1 to change, 0 to remove')).toBeInTheDocument();
    expect(screen.getByText('$85.50 / month; an approval holds up to $90.00 / month')).toBeInTheDocument();
    expect(screen.getByText('0 of 1 approved')).toBeInTheDocument();
    expect(screen.getByText(reason.message)).toBeInTheDocument();
    expect(screen.queryByText(/What you can do/)).not.toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Approve' })).not.toBeInTheDocument();
    expect(screen.getByRole('button', { name: 'Withdraw this request' })).toBeEnabled();
    expect(await findFaults(container)).toEqual([]);
  });

  test('names the approvals it has, and why earlier ones are lost', async () => {
    const { needed } = anApproval();
    const given = [{ by: 'user:default/pat', at: '2026-05-03T14:32:00Z', reason: 'Black Friday' }];
    const approval = anApproval({ given, void: 'the price rose', needed: [{ ...needed[0], count: 2 }] });
    renderRequest(aWaiting({ approval }));
    const approvals = await screen.findByRole('list', { name: 'Approvals' });
    expect(approvals).toHaveTextContent(/Approved by pat .*: Black Friday/);
    expect(screen.getByText('1 of 2 approved')).toBeInTheDocument();
    expect(screen.getByText('Earlier approvals no longer count: the price rose')).toBeInTheDocument();
  });

  test('is approved with a reason, shows that at once, and keeps the focus', async () => {
    const { sidecar } = renderRequest(toApprove());
    sidecar.on(`POST /requests/${REQUEST_ID}/approve`, { request: anApproved() });
    expect(await screen.findByText('Waits for your approval')).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: /this request$/ })).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Approve' }));
    const dialog = await screen.findByRole('dialog', { name: 'Approve this request?' });
    await waitFor(() => expect(within(dialog).getByRole('textbox', { name: /Reason/ })).toHaveFocus());
    await userEvent.keyboard(' Black Friday ');
    await userEvent.click(within(dialog).getByRole('button', { name: 'Approve orders-store' }));

    expect(await screen.findByRole('list', { name: 'Approvals' })).toHaveTextContent(/: Black Friday/);
    expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
    await waitFor(() => expect(document.activeElement).toHaveTextContent('Create orders-store, asked by ben'));
    const [call] = sidecar.callsTo('POST', `/requests/${REQUEST_ID}/approve`);
    expect(call.body).toEqual({ reason: 'Black Friday' });
    expect(call.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
  });

  test('is rejected with a reason only, which its page then tells', async () => {
    const { sidecar } = renderRequest(toApprove());
    sidecar.on(`POST /requests/${REQUEST_ID}/reject`, {
      request: { ...toApprove(), state: 'denied', error: { message: 'Rejected by ann: use the small size' }, approval: anApproval() },
    });
    await userEvent.click(await screen.findByRole('button', { name: 'Reject' }));
    const dialog = await screen.findByRole('dialog', { name: 'Reject this request?' });
    const button = within(dialog).getByRole('button', { name: 'Reject orders-store' });
    expect(button).toBeDisabled();
    await userEvent.type(within(dialog).getByRole('textbox', { name: /Reason/ }), 'use the small size');
    await userEvent.click(button);
    expect(await screen.findByText('Not approved')).toBeInTheDocument();
    expect(screen.getByText('Rejected by ann: use the small size')).toBeInTheDocument();
    expect(sidecar.callsTo('POST', `/requests/${REQUEST_ID}/reject`)[0].body).toEqual({ reason: 'use the small size' });
  });

  test('says so when somebody was faster, and then shows how it stands', async () => {
    const { sidecar } = renderRequest(toApprove());
    sidecar.on(`POST /requests/${REQUEST_ID}/approve`, () =>
      refusal(409, { name: 'ConflictError', message: 'It does not wait for approval.' }),
    );
    await userEvent.click(await screen.findByRole('button', { name: 'Approve' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Approve orders-store' }));
    const alert = await screen.findByRole('alert');
    expect(alert).toHaveTextContent('It does not wait for approval.');
    sidecar.on(requestRoute, { request: anApproved() });
    await userEvent.click(within(alert).getByRole('button', { name: 'See how it stands' }));
    await waitFor(() => expect(screen.queryByRole('button', { name: 'Approve' })).not.toBeInTheDocument());
  });

  test('is shown as approved when the news of it comes', async () => {
    const events = new EventStream();
    const sidecar = new SidecarDouble();
    renderRequest(aWaiting(), sidecar);
    sidecar.on(`${requestRoute}/events stream`, events.response);
    await screen.findByText('Waits for platform-team');
    await waitFor(() => expect(sidecar.callsTo('GET', `/requests/${REQUEST_ID}/events`)).not.toHaveLength(0));
    sidecar.on(requestRoute, () => json({ request: anApproved() }));
    act(() => events.send(13, 'request.approved'));
    expect(await screen.findByText('A worker')).toBeInTheDocument();
  });
});
