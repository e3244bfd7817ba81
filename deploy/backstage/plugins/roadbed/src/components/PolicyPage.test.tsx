import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Pause } from '../api/types';
import { findFaults, renderPage } from '../testing/renderPage';
import { json, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { PolicyPage } from './PolicyPage';

const pause: Pause = { id: 'p1', kind: 'everything', name: '', reason: 'The disk is full.', by: 'user:default/pat', at: '2026-05-03T14:30:00Z' };

function aSidecar() {
  return new SidecarDouble()
    .on('GET /pauses', { items: [] })
    .on('GET /calendar', { items: [] })
    .on('GET /exemptions', { items: [] });
}

function renderAs(sidecar: SidecarDouble, platformTeam: boolean) {
  sidecar.on('GET /me', { subject: 'user:default/pat', groups: [], platform_team: platformTeam });
  return renderPage(<PolicyPage />, { sidecar });
}

test('says that nothing is paused, frozen or exempted, and offers no pause to requesters', async () => {
  const { container } = renderAs(aSidecar(), false);
  expect(await screen.findByText('Nothing is paused.')).toBeInTheDocument();
  expect(await screen.findByText(/^None in the next 30 days/)).toBeInTheDocument();
  expect(await screen.findByText('None: every rule counts for everyone.')).toBeInTheDocument();
  expect(screen.queryByRole('form', { name: 'Pause' })).not.toBeInTheDocument();
  expect(await findFaults(container)).toEqual([]);
});

test('lists freezes, windows and exemptions in words', async () => {
  const sidecar = aSidecar()
    .on('GET /calendar', {
      items: [{ kind: 'freeze', environment: 'prod', name: 'year end', reason: 'the shops are busy', from: '2026-12-20T00:00:00Z', until: '2027-01-04T08:00:00Z' }],
    })
    .on('GET /exemptions', {
      items: [{ rule: 'cost_limit', owner: 'group:default/payments', offering: '', environment: 'dev', name: '', from: '2026-11-01', until: '2026-12-01', granted_by: 'user:default/pat', reason: 'The load test.', state: 'active' }],
    });
  renderAs(sidecar, false);
  expect(await screen.findByText('prod is frozen: year end')).toBeInTheDocument();
  expect(await screen.findByText('cost_limit for payments, dev: in force')).toBeInTheDocument();
  expect(screen.getByText('from 2026-11-01 until 2026-12-01, granted by pat: The load test.')).toBeInTheDocument();
});

test('the platform team pauses everything with a reason, and resumes', async () => {
  let items: Pause[] = [];
  const sidecar = aSidecar()
    .on('GET /pauses', () => json({ items }))
    .on('POST /pauses', () => {
      items = [pause];
      return json({ pause }, 201);
    })
    .on('DELETE /pauses/p1', () => {
      items = [];
      return new Response(undefined, { status: 204 });
    });
  renderAs(sidecar, true);
  const button = await screen.findByRole('button', { name: 'Pause' });
  expect(button).toBeDisabled();
  await userEvent.type(screen.getByRole('textbox', { name: 'Reason, which whoever waits reads' }), 'The disk is full.');
  await userEvent.click(button);
  expect(await screen.findByText('Everything: The disk is full.')).toBeInTheDocument();
  expect(sidecar.callsTo('POST', '/pauses')[0].body).toEqual({ kind: 'everything', reason: 'The disk is full.' });
  await userEvent.click(screen.getByRole('button', { name: 'Resume everything' }));
  await waitFor(() => expect(sidecar.callsTo('DELETE', '/pauses/p1')).toHaveLength(1));
  expect(await screen.findByText('Nothing is paused.')).toBeInTheDocument();
});

test('the platform team pauses a pool by its name', async () => {
  const sidecar = aSidecar().on('POST /pauses', () => json({ pause }, 201));
  renderAs(sidecar, true);
  await userEvent.click(await screen.findByRole('button', { name: /Everything/ }));
  await userEvent.click(await screen.findByRole('option', { name: 'A pool of workers' }));
  await userEvent.type(screen.getByRole('textbox', { name: 'Reason, which whoever waits reads' }), 'New workers come.');
  expect(screen.getByRole('button', { name: 'Pause' })).toBeDisabled();
  await userEvent.type(screen.getByRole('textbox', { name: 'Name of the pool' }), 'dev');
  await userEvent.click(screen.getByRole('button', { name: 'Pause' }));
  await waitFor(() => expect(sidecar.callsTo('POST', '/pauses')).toHaveLength(1));
  expect(sidecar.callsTo('POST', '/pauses')[0].body).toEqual({ kind: 'pool', name: 'dev', reason: 'New workers come.' });
});

test('what cannot be listed is told, and the rest is shown', async () => {
  renderAs(aSidecar().on('GET /pauses', () => refusal(503, { name: 'ServiceUnavailableError', message: 'It is away.' })), false);
  expect(await screen.findByRole('alert')).toHaveTextContent('The pauses cannot be shown right now');
  expect(await screen.findByText('None: every rule counts for everyone.')).toBeInTheDocument();
});
