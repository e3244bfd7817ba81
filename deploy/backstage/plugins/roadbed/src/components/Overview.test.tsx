import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Measure, Measures } from '../api/types';
import { describeDays, formatMeasure } from '../measure';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { Overview } from './Overview';

function aMeasure(change: Partial<Measure> = {}): Measure {
  return {
    name: 'provision_time',
    title: 'Avg. provision time',
    definition: 'Mean minutes from the ask to success.',
    unit: 'minutes',
    value: 2.9,
    why: '',
    before: 4,
    trend: 'down',
    better: 'down',
    parts: [{ name: 'p95', unit: 'minutes', value: 9 }],
    days: [
      { date: '2026-03-08', value: 3, count: 2 },
      { date: '2026-03-09', value: null, count: 0 },
      { date: '2026-03-10', value: 53, count: 2 },
    ],
    ...change,
  };
}

function someMeasures(change: Partial<Measures> = {}): Measures {
  return {
    days: 30,
    from: '2026-02-09T00:00:00Z',
    until: '2026-03-10T15:00:00Z',
    since: '2025-11-01T09:00:00Z',
    cards: [
      aMeasure(),
      aMeasure({ name: 'violations', title: 'Policy violations', unit: 'count', value: 7, before: 5, trend: 'up', parts: [{ name: 'cost_limit', unit: 'count', value: 4 }] }),
      aMeasure({ name: 'drift', title: 'Drift incidents', unit: 'count', value: null, before: null, trend: '', why: 'Drift is not measured yet.', parts: [], days: [] }),
    ],
    more: [aMeasure({ name: 'tagged', title: 'Properly tagged', unit: 'share', value: 0.75, before: 0.75, trend: 'same', better: '', parts: [], days: [] })],
    ...change,
  };
}

const render = (sidecar: SidecarDouble, query = '') => renderPage(<Overview />, { sidecar, path: `/infrastructure/overview${query}` });

test('keeps the place of what is on its way', async () => {
  render(new SidecarDouble().on('GET /measures', never));
  expect(await screen.findByRole('status', { name: 'Loading the overview' })).toBeInTheDocument();
});

test('says what would be here before anything was asked for', async () => {
  render(new SidecarDouble().on('GET /measures', someMeasures({ since: null })));
  expect(await screen.findByRole('heading', { name: 'Nothing has been asked for yet' })).toBeInTheDocument();
  expect(screen.getByRole('link', { name: 'Ask for infrastructure' })).toBeInTheDocument();
});

test('says why it cannot be shown, and tries again when asked', async () => {
  const sidecar = new SidecarDouble().on('GET /measures', () => refusal(503, { name: 'ServiceUnavailableError', message: 'the database cannot be reached right now' }));
  render(sidecar);
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('the database cannot be reached right now');
  sidecar.on('GET /measures', someMeasures());
  await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
  expect(await screen.findByRole('heading', { name: 'More' })).toBeInTheDocument();
});

test('shows each number with its trend in words, its days and what it counts', async () => {
  const { container } = render(new SidecarDouble().on('GET /measures', someMeasures()));
  await screen.findByRole('heading', { name: 'More' });
  const time = screen.getByRole('region', { name: 'Avg. provision time' });
  expect(time).toHaveTextContent('2 min 54 s');
  expect(time).toHaveTextContent('down from 4 min, better');
  expect(time).toHaveTextContent('95th percentile9 min');
  expect(within(time).getByRole('img')).toHaveAccessibleName('By day: from 3 min on 8 Mar to 53 min on 10 Mar.');
  expect(within(time).getByText('Mean minutes from the ask to success.')).not.toBeVisible();
  await userEvent.click(within(time).getByText('What this counts'));
  expect(within(time).getByText('Mean minutes from the ask to success.')).toBeVisible();
  expect(screen.getByRole('region', { name: 'Policy violations' })).toHaveTextContent('up from 5, worse');
  expect(screen.getByRole('region', { name: 'Properly tagged' })).toHaveTextContent('as before');
  expect(await findFaults(container)).toEqual([]);
});

test('does not call what is not measured nothing', async () => {
  render(new SidecarDouble().on('GET /measures', someMeasures()));
  await screen.findByRole('heading', { name: 'More' });
  const drift = screen.getByRole('region', { name: 'Drift incidents' });
  expect(drift).toHaveTextContent('Not measured');
  expect(drift).toHaveTextContent('Drift is not measured yet.');
  expect(drift).not.toHaveTextContent('0');
});

test('says from when there is history while there is nothing to compare with', async () => {
  const cards = [aMeasure({ before: null, trend: '' })];
  render(new SidecarDouble().on('GET /measures', someMeasures({ cards, since: '2026-03-01T09:00:00Z' })));
  expect(await screen.findByText(/history begins on 1 Mar/)).toBeInTheDocument();
});

test.each([
  ['', '30'],
  ['?days=90', '90'],
  ['?days=many', '30'],
  ['?days=4000', '30'],
])('asks for the period that the address %s names', async (query, days) => {
  const sidecar = new SidecarDouble().on('GET /measures', someMeasures());
  render(sidecar, query);
  await screen.findByRole('heading', { name: 'More' });
  expect(sidecar.callsTo('GET', '/measures').map(call => call.query.get('days'))).toEqual([days]);
});

test('writes numbers in their unit', () => {
  expect(formatMeasure(0.04, 'minutes')).toBe('2.4 s');
  expect(formatMeasure(124.5, 'minutes')).toBe('2 h 4 min');
  expect(formatMeasure(0.754, 'share')).toBe('75%');
  expect(formatMeasure(1114.5, 'dollars_a_month')).toBe('$1,114.50 / month');
  expect(formatMeasure(1204, 'count')).toBe('1,204');
});

test('describes days that are all alike, or none', () => {
  expect(describeDays(aMeasure({ days: [{ date: '2026-03-08', value: 0, count: 0 }], unit: 'count' }))).toBe('By day: 0 on each of 1 day.');
  expect(describeDays(aMeasure({ days: [{ date: '2026-03-08', value: null, count: 0 }] }))).toBe('By day: none yet.');
});
