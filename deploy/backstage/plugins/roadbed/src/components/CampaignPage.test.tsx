import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Campaign, CampaignCounts, CampaignGroup } from '../api/types';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { CampaignList } from './CampaignList';
import { CampaignPage } from './CampaignPage';

const ID = '01980000-0000-7000-8000-000000000099';

function counts(some: Partial<CampaignCounts>): CampaignCounts {
  const none = { planning: 0, cannot_plan: 0, unapproved: 0, opted_out: 0, ready: 0, asked: 0, done: 0, failed: 0, gone: 0, ...some };
  return { ...none, instances: Object.values(none).reduce((sum, n) => sum + n, 0) };
}

function aGroup(change: Partial<CampaignGroup> = {}): CampaignGroup {
  return {
    shape: 'aaaa',
    title: 'update postgres database (connection_limit)',
    lines: [{ action: 'update', type: 'postgres_database', attributes: ['connection_limit'], unknown: [] }],
    failure: '',
    confirm: '',
    counts: counts({ unapproved: 37 }),
    monthly_difference: 0,
    findings: [],
    examples: ['dev/orders', 'dev/billing'],
    ...change,
  };
}

const LOSES = aGroup({
  shape: 'bbbb',
  title: 'replace postgres database (name)',
  lines: [{ action: 'replace', type: 'postgres_database', attributes: ['name'], unknown: [] }],
  confirm: 'replace postgres_database',
  counts: counts({ unapproved: 2 }),
  findings: [{ rule: 'data_store_lost', level: 'require_approval', message: 'Its data would be deleted.', way_out: '', count: 2 }],
  examples: ['dev/ledger'],
});

function aCampaign(change: Partial<Campaign> = {}): Campaign {
  return {
    id: ID,
    offering: 'postgres-database',
    offering_name: 'PostgreSQL database',
    version: '2.0.0',
    state: 'open',
    reason: '',
    by: 'user:default/pat',
    created_at: '2026-05-04T14:40:00Z',
    environments: [],
    owners: [],
    halt_after: 1,
    at_once: 4,
    ring: -1,
    rings: [
      { name: 'dev', counts: counts({ unapproved: 30 }) },
      { name: 'prod', counts: counts({ unapproved: 9 }) },
    ],
    counts: counts({ unapproved: 39 }),
    groups: [LOSES, aGroup()],
    members: [
      {
        instance_id: '01980000-0000-7000-8000-000000000010',
        name: 'orders',
        environment: 'dev',
        owner: 'group:default/payments',
        entity_ref: 'resource:dev/orders.postgres-database',
        ring: 0,
        state: 'unapproved',
        shape: 'aaaa',
        waiting: '',
        error: '',
      },
    ],
    opt_outs: [],
    may_roll_out: true,
    ...change,
  };
}

const shown = (campaign: Campaign) => new SidecarDouble().on(`GET /campaigns/${ID}`, campaign);

test('keeps the place of what is on its way', async () => {
  renderPage(<CampaignPage id={ID} />, { sidecar: new SidecarDouble().on(`GET /campaigns/${ID}`, never) });
  expect(await screen.findByRole('status', { name: 'Loading the campaign' })).toBeInTheDocument();
});

test('says what cannot be shown', async () => {
  renderPage(<CampaignPage id={ID} />, {
    sidecar: new SidecarDouble().on(`GET /campaigns/${ID}`, () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' })),
  });
  expect(await screen.findByRole('alert')).toHaveTextContent(`Campaign ${ID} cannot be shown right now`);
});

test('says that workers are planning it', async () => {
  renderPage(<CampaignPage id={ID} />, { sidecar: shown(aCampaign({ groups: [] })) });
  expect(await screen.findByText('Workers are planning it. Nothing is touched by that.')).toBeInTheDocument();
});

test('shows what would happen to how many, the gravest first', async () => {
  const { container } = renderPage(<CampaignPage id={ID} />, { sidecar: shown(aCampaign()) });
  const [first, second] = within(await screen.findByRole('table', { name: 'Groups' })).getAllByRole('row').slice(1);
  expect(within(first).getByText('2 × replace postgres database (name)')).toBeInTheDocument();
  expect(within(first).getByText('Needs approval (2 of 2): Its data would be deleted.')).toBeInTheDocument();
  expect(within(second).getByText('37 × update postgres database (connection_limit)')).toBeInTheDocument();
  expect(screen.getByRole('button', { name: 'Start' })).toBeDisabled();
  expect(screen.getByRole('button', { name: 'Start' })).toHaveAccessibleDescription('It can be started once a group is approved.');
  expect(await findFaults(container)).toEqual([]);
});

test('approves what loses something only once that was typed', async () => {
  const sidecar = shown(aCampaign());
  const approved = aCampaign({ groups: [{ ...LOSES, approved_by: 'user:default/pat', approved_at: '2026-05-04T14:41:00Z' }] });
  sidecar.change(`GET /campaigns/${ID}`, `POST /campaigns/${ID}/groups/bbbb/approve`, approved);
  renderPage(<CampaignPage id={ID} />, { sidecar });
  await userEvent.click(await screen.findByRole('button', { name: 'Approve replace postgres database (name)' }));
  const approve = await screen.findByRole('button', { name: 'Approve for 2 resources' });
  expect(approve).toBeDisabled();
  await userEvent.type(screen.getByRole('textbox', { name: /Type replace postgres_database/ }), 'replace postgres_database');
  await userEvent.click(approve);
  await waitFor(() => expect(screen.getByRole('button', { name: 'Start' })).toBeEnabled());
  expect(sidecar.callsTo('POST', `/campaigns/${ID}/groups/bbbb/approve`)[0].body).toEqual({ confirm: 'replace postgres_database', reason: '' });
});

test('shows why it has halted, and resumes', async () => {
  const halted = aCampaign({ state: 'halted', reason: '1 upgrade failed: dev/orders' });
  const sidecar = shown(halted).change(`GET /campaigns/${ID}`, `POST /campaigns/${ID}/resume`, aCampaign({ state: 'running', ring: 0 }));
  renderPage(<CampaignPage id={ID} />, { sidecar });
  expect(await screen.findByText('Halted: 1 upgrade failed: dev/orders')).toBeInTheDocument();
  await userEvent.click(screen.getByRole('button', { name: 'Resume' }));
  const dialog = within(await screen.findByRole('dialog'));
  await userEvent.click(dialog.getByRole('button', { name: 'Resume' }));
  expect(await screen.findByText('dev (now)')).toBeInTheDocument();
});

test('offers nothing to do to whoever may not roll out', async () => {
  renderPage(<CampaignPage id={ID} />, { sidecar: shown(aCampaign({ may_roll_out: false })) });
  await screen.findByRole('table', { name: 'Groups' });
  expect(screen.queryByRole('button', { name: /Approve|Start|Stop/ })).not.toBeInTheDocument();
});

test('a team opts out on the page, until a date and for a reason', async () => {
  const sidecar = shown(aCampaign({ may_roll_out: false }));
  sidecar.change(
    `GET /campaigns/${ID}`,
    `POST /campaigns/${ID}/opt-out`,
    aCampaign({ may_roll_out: false, opt_outs: [{ owner: 'group:default/payments', until: '2999-05-11T14:40:00Z', by: 'user:default/ann', reason: 'sale' }] }),
  );
  renderPage(<CampaignPage id={ID} />, { sidecar });
  await userEvent.click(await screen.findByRole('button', { name: 'Opt payments out' }));
  const dialog = within(await screen.findByRole('dialog'));
  expect(dialog.getByText(/^Its resource is left as it is until then/)).toBeInTheDocument();
  expect(dialog.getByRole('button', { name: 'Opt out' })).toBeDisabled();
  await userEvent.type(dialog.getByRole('textbox', { name: /Reason/ }), 'sale');
  await userEvent.click(dialog.getByRole('button', { name: 'Opt out' }));
  expect(await screen.findByText('payments has opted out: sale')).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: /^Opt/ })).not.toBeInTheDocument();
  const body = sidecar.callsTo('POST', `/campaigns/${ID}/opt-out`)[0].body as { owner: string; until: string; reason: string };
  expect(body).toEqual({ owner: 'group:default/payments', until: expect.any(String), reason: 'sale' });
  expect(Date.parse(body.until)).toBeGreaterThan(Date.now());
});

test('whose team owns nothing in it is not asked', async () => {
  const [member] = aCampaign().members;
  renderPage(<CampaignPage id={ID} />, { sidecar: shown(aCampaign({ members: [{ ...member, owner: 'group:default/search' }] })) });
  await screen.findByRole('table', { name: 'Groups' });
  expect(screen.queryByRole('button', { name: /Opt/ })).not.toBeInTheDocument();
});

test('lists campaigns, and says when there is none', async () => {
  renderPage(<CampaignList />, { sidecar: new SidecarDouble().on('GET /campaigns', { items: [aCampaign()], may_roll_out: false }) });
  expect(await screen.findByRole('link', { name: 'PostgreSQL database to 2.0.0' })).toHaveAttribute('href', `/infrastructure/campaigns/${ID}`);
  expect(screen.getByText('39 not approved')).toBeInTheDocument();
});

test('says that nothing is rolled out', async () => {
  renderPage(<CampaignList />, { sidecar: new SidecarDouble().on('GET /campaigns', { items: [], may_roll_out: false }) });
  expect(await screen.findByRole('heading', { name: 'Nothing is being rolled out' })).toBeInTheDocument();
});
