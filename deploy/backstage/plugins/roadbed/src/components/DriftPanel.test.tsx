import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Instance } from '../api/types';
import { aRequest, anInstance, INSTANCE_ID, noDrift, REQUEST_ID, someDrift } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { json, never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { DriftPanel } from './DriftPanel';

const path = `/instances/${INSTANCE_ID}/drift`;

function renderPanel(sidecar: SidecarDouble, instance: Partial<Instance> = {}) {
  return renderPage(<DriftPanel instance={anInstance(instance)} />, { sidecar });
}

test('keeps the place of what is on its way', async () => {
  renderPanel(new SidecarDouble().on(`GET ${path}`, never));
  expect(await screen.findByRole('heading', { name: 'Drift' })).toBeInTheDocument();
});

test('says what cannot be shown', async () => {
  renderPanel(new SidecarDouble().on(`GET ${path}`, () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' })));
  expect(await screen.findByRole('alert')).toHaveTextContent('The drift cannot be shown right now');
});

test('says that it is as it was asked for, and offers nothing to answer', async () => {
  const { container } = renderPanel(new SidecarDouble().on(`GET ${path}`, noDrift));
  expect(await screen.findByText(/It is as it was asked for, checked/)).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: 'Revert' })).not.toBeInTheDocument();
  expect(await findFaults(container)).toEqual([]);
});

test('says that it was never checked, and checks what is ready alone', async () => {
  const never = { ...noDrift, check: { running: false, failure: '', asked_by: '' } };
  renderPanel(new SidecarDouble().on(`GET ${path}`, never), { state: 'changing' });
  expect(await screen.findByText('It has not been checked yet.')).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: 'Check now' })).not.toBeInTheDocument();
});

test('shows what differs, what was asked for, and what adopting it would be', async () => {
  const { container } = renderPanel(new SidecarDouble().on(`GET ${path}`, someDrift()));
  const differences = await screen.findByRole('list', { name: 'Differences' });
  expect(within(differences).getByText('connection_limit of postgres_database.main is 7')).toBeInTheDocument();
  expect(within(differences).getByText('asked for: 50')).toBeInTheDocument();
  expect(screen.getByText(/To adopt it: max_connections not set → 7/)).toBeInTheDocument();
  expect(await findFaults(container)).toEqual([]);
});

test('has it checked, and shows what was found', async () => {
  const sidecar = new SidecarDouble()
    .on(`GET ${path}`, noDrift)
    .on(`POST ${path}/check`, () => {
      sidecar.on(`GET ${path}`, someDrift());
      return json({ ...noDrift, check: { ...noDrift.check, running: true } }, 202);
    });
  renderPanel(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: 'Check now' }));
  expect(await screen.findByText('Being checked …')).toBeInTheDocument();
  expect(await screen.findByRole('list', { name: 'Differences' }, { timeout: 5000 })).toBeInTheDocument();
});

test('says why it cannot be checked now', async () => {
  const sidecar = new SidecarDouble()
    .on(`GET ${path}`, noDrift)
    .on(`POST ${path}/check`, () => refusal(409, { name: 'ConflictError', message: 'A request on orders-store has not ended.' }));
  renderPanel(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: 'Check now' }));
  expect(await screen.findByRole('alert')).toHaveTextContent('A request on orders-store has not ended.');
});

test.each(['Revert', 'Adopt'])('%s asks once, for the drift that is on show', async verb => {
  const route = `${path}/${verb.toLowerCase()}`;
  const sidecar = new SidecarDouble().on(`GET ${path}`, someDrift()).on(`POST ${route}`, { request: aRequest() }).on(`GET /requests/${REQUEST_ID}`, { request: aRequest() });
  renderPanel(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: verb }));
  const dialog = await screen.findByRole('dialog');
  await userEvent.click(within(dialog).getByRole('button', { name: `${verb} orders-store` }));
  await waitFor(() => expect(sidecar.callsTo('POST', route)).toHaveLength(1));
  const [call] = sidecar.callsTo('POST', route);
  expect(call.body).toEqual({ cause: '0a1b2c3d4e5f6071' });
  expect(call.headers.get('idempotency-key')).toBeTruthy();
});

test('what cannot be adopted says why, and can be reverted', async () => {
  const adoption = { possible: false, summary: 'postgres_role.monitor is gone: no parameter alone sets that.' };
  renderPanel(new SidecarDouble().on(`GET ${path}`, someDrift({ adoption })));
  expect(await screen.findByText(/It cannot be adopted. postgres_role.monitor is gone/)).toBeInTheDocument();
  expect(screen.getByRole('button', { name: 'Adopt' })).toBeDisabled();
  expect(screen.getByRole('button', { name: 'Revert' })).toBeEnabled();
});

test('suppresses it with a reason, until a date', async () => {
  const suppressed = someDrift({
    suppressed: { until: '2099-01-01T00:00:00Z', by: 'user:default/ann', reason: 'load test', at: '2026-05-03T15:00:00Z' },
  });
  const sidecar = new SidecarDouble().on(`GET ${path}`, someDrift()).on(`POST ${path}/suppress`, suppressed);
  renderPanel(sidecar);
  await userEvent.click(await screen.findByRole('button', { name: 'Suppress until …' }));
  const dialog = await screen.findByRole('dialog');
  expect(within(dialog).getByRole('button', { name: 'Suppress orders-store' })).toBeDisabled();
  await userEvent.type(within(dialog).getByRole('textbox', { name: /Reason/ }), 'load test');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Suppress orders-store' }));
  expect(await screen.findByText(/by ann: load test/)).toBeInTheDocument();
  const [call] = sidecar.callsTo('POST', `${path}/suppress`);
  expect(call.body).toMatchObject({ reason: 'load test', cause: '0a1b2c3d4e5f6071' });
});
