import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { Resources } from '../components/Resources';
import type { ChangePreview, Instance, InstanceState, Parameters } from '../api/types';
import { aDatabase, anInstance, aRequest, aVerdict, INSTANCE_ID, overLimit } from '../testing/fixtures';
import { findFaults, renderPage } from '../testing/renderPage';
import { json, never, refusal, SidecarDouble } from '../testing/SidecarDouble';

const path = `/infrastructure/resources/${INSTANCE_ID}/change`;
const before = { database_name: 'orders-store', environment: 'dev', storage_gb: 100, multi_az: false, admin_password: { set: true } };
const titles: Record<string, string> = { storage_gb: 'Storage (GB)', multi_az: 'Multi-AZ', custom_parameters: 'Settings' };

/** A sidecar by which a gigabyte costs a dime, more than 400 are too many and a standby makes it anew. */
function aSidecar(change: Partial<Instance> = {}) {
  const instance = anInstance({ parameters: before, changes_allowed: '', ...change });
  return new SidecarDouble()
    .on(`GET /instances/${INSTANCE_ID}`, { instance, requests: [] })
    .on('GET /offerings/postgres-database', aDatabase)
    .on(`POST /instances/${INSTANCE_ID}/evaluate`, call => json(preview((call.body as { parameters: Parameters }).parameters)))
    .on(`POST /instances/${INSTANCE_ID}/update`, { request: aRequest({ action: 'update' }) });
}

function preview(parameters: Parameters): ChangePreview {
  const after: Parameters = { ...before, ...parameters };
  const difference = (Number(after.storage_gb) - 100) / 10;
  const denied = Number(after.storage_gb) > 400;
  return {
    ...aVerdict(denied ? { allowed: false, outcome: 'deny', findings: [overLimit] } : {}),
    before,
    after,
    changes: Object.entries(parameters).map(([parameter, value]) => ({
      parameter,
      title: titles[parameter],
      before: (before as Parameters)[parameter] ?? null,
      after: value,
      immutable: false,
    })),
    cost_before: 85.5,
    cost_after: 85.5 + difference,
    cost_difference: difference,
    replaces: 'multi_az' in parameters ? ['multi_az'] : [],
    version_before: '1.2.0',
    version_after: '1.2.0',
  };
}

const render = (sidecar: SidecarDouble, query = '') => renderPage(<Resources />, { sidecar, path: path + query });
const submit = () => screen.getByRole('button', { name: 'Change orders-store' });
const asked = (sidecar: SidecarDouble) => sidecar.callsTo('POST', `/instances/${INSTANCE_ID}/update`);

test('keeps the place of what is on its way, and says what cannot be shown', async () => {
  const { unmount } = render(aSidecar().on(`GET /instances/${INSTANCE_ID}`, never));
  expect(await screen.findByRole('status', { name: 'Loading what is to be changed' })).toBeInTheDocument();
  unmount();
  render(aSidecar().on(`GET /instances/${INSTANCE_ID}`, () => refusal(503, { name: 'ServiceUnavailableError', message: 'It is away.' })));
  expect(await screen.findByRole('alert')).toHaveTextContent('What is to be changed cannot be shown right now');
});

test('shows each parameter as it is, those that are fixed with the reason, and waits for a change', async () => {
  const { container } = render(aSidecar());
  expect(await screen.findByRole('textbox', { name: 'Database name' })).toBeDisabled();
  expect(screen.getByRole('textbox', { name: 'Database name' })).toHaveAccessibleDescription(/It stays as it was made/);
  expect(screen.getByRole('textbox', { name: 'Storage (GB)' })).toHaveValue('100');
  expect(screen.getByLabelText('Password')).toHaveValue('');
  expect(await screen.findByText(/^Nothing changes yet/)).toBeInTheDocument();
  expect(submit()).toBeDisabled();
  expect(screen.getByText('The button works once something changes.')).toBeInTheDocument();
  expect(await findFaults(container)).toEqual([]);
});

test('an address fills in a change, whose price and verdict are shown before it is asked for', async () => {
  const sidecar = aSidecar();
  render(sidecar, '?storage_gb=200&nonsense=1&multi_az=maybe');
  await screen.findByText('Allowed in dev.');
  const panel = screen.getByRole('region', { name: 'What would change' });
  await waitFor(() => expect(panel).toHaveTextContent('Storage (GB)100 → becomes 200'));
  expect(panel).toHaveTextContent('$85.50 → becomes $95.50 / month, $10.00 more');
  await userEvent.click(submit());
  await waitFor(() => expect(asked(sidecar)).toHaveLength(1));
  expect(asked(sidecar)[0].body).toEqual({ parameters: { storage_gb: 200 } });
  expect(asked(sidecar)[0].headers.get('idempotency-key')).toBeTruthy();
});

test('what is denied, or no number, cannot be asked for, and the reason is said', async () => {
  render(aSidecar(), '?storage_gb=500');
  expect(await screen.findByText('Not allowed in dev.')).toBeInTheDocument();
  expect(submit()).toBeDisabled();
  expect(screen.getByText(/^Policy does not allow this/)).toBeInTheDocument();
  await userEvent.clear(screen.getByRole('textbox', { name: 'Storage (GB)' }));
  await userEvent.type(screen.getByRole('textbox', { name: 'Storage (GB)' }), 'lots');
  expect(await screen.findByText('Not valid yet: Storage (GB).')).toBeInTheDocument();
  expect(submit()).toBeDisabled();
});

test('what would be made anew is warned of, and has to be meant', async () => {
  const sidecar = aSidecar();
  render(sidecar);
  await userEvent.click(await screen.findByRole('checkbox', { name: 'Multi-AZ' }));
  expect(await screen.findByText('It is made anew, and what it holds is lost')).toBeInTheDocument();
  expect(submit()).toBeDisabled();
  await userEvent.click(screen.getByRole('checkbox', { name: 'What orders-store holds may be lost' }));
  await userEvent.click(submit());
  await waitFor(() => expect(asked(sidecar)).toHaveLength(1));
});

test('a new secret is sent with the change, and never to be judged', async () => {
  const sidecar = aSidecar();
  render(sidecar);
  await userEvent.type(await screen.findByLabelText('Password'), 's3cret');
  await userEvent.click(submit());
  await waitFor(() => expect(asked(sidecar)).toHaveLength(1));
  expect(asked(sidecar)[0].body).toEqual({ parameters: { admin_password: 's3cret' } });
  const judged = sidecar.callsTo('POST', `/instances/${INSTANCE_ID}/evaluate`);
  expect(JSON.stringify(judged.map(({ body }) => body))).not.toContain('s3cret');
});

test('a link is picked among what is ready in the same environment, by name', async () => {
  const taking = { ...aDatabase.parameters[0], name: 'upstream', title: 'Upstream', required: false, pattern: undefined, takes: { offering: 'queue', output: 'url' } };
  const ready = (name: string, state: InstanceState = 'ready') => anInstance({ id: name, name, state, entity_ref: `resource:dev/${name}.queue` });
  const sidecar = aSidecar({ parameters: { ...before, upstream: 'resource:dev/mails.queue' } })
    .on('GET /offerings/postgres-database', { ...aDatabase, parameters: [...aDatabase.parameters, taking] })
    .on('GET /instances', { items: [ready('mails'), ready('jobs'), ready('halfway', 'reserved')] });
  const { container } = render(sidecar);
  const field = await screen.findByRole('combobox', { name: 'Upstream' });
  expect(field).toHaveValue('mails');
  await userEvent.clear(field);
  expect((await screen.findAllByRole('option')).map(option => option.textContent)).toEqual(['jobs', 'mails']);
  await userEvent.click(screen.getByRole('option', { name: 'jobs' }));
  await userEvent.click(submit());
  await waitFor(() => expect(asked(sidecar)).toHaveLength(1));
  expect(asked(sidecar)[0].body).toEqual({ parameters: { upstream: 'resource:dev/jobs.queue' } });
  expect(sidecar.callsTo('GET', '/instances')[0].query.toString()).toContain('offering=queue&environment=dev');
  expect(await findFaults(container)).toEqual([]);
});

test('while something else is asked of it, it says so', async () => {
  render(aSidecar({ changes_allowed: 'another request of it runs' }), '?storage_gb=200');
  expect(await screen.findByText('It cannot be changed right now')).toBeInTheDocument();
  expect(submit()).toBeDisabled();
});

test('an upgrade is shown and asked for in the same way', async () => {
  const sidecar = aSidecar({ available_version: '1.3.0' })
    .on(`POST /instances/${INSTANCE_ID}/evaluate`, { ...preview({}), version_after: '1.3.0' })
    .on(`POST /instances/${INSTANCE_ID}/upgrade`, { request: aRequest({ action: 'upgrade' }) });
  renderPage(<Resources />, { sidecar, path: path.replace('/change', '/upgrade') });
  expect(await screen.findByText('Allowed in dev.')).toBeInTheDocument();
  expect(screen.getByRole('region', { name: 'What would change' })).toHaveTextContent('Version1.2.0 → becomes 1.3.0');
  await userEvent.click(screen.getByRole('button', { name: 'Upgrade orders-store' }));
  await waitFor(() => expect(sidecar.callsTo('POST', `/instances/${INSTANCE_ID}/upgrade`)).toHaveLength(1));
  expect(sidecar.callsTo('POST', `/instances/${INSTANCE_ID}/evaluate`)[0].body).toEqual({ action: 'upgrade', parameters: {}, advise: false });
});
