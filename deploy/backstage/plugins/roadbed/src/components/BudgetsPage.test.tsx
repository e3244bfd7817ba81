import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Budget } from '../api/types';
import { findFaults, renderPage } from '../testing/renderPage';
import { never, refusal, SidecarDouble } from '../testing/SidecarDouble';
import { BudgetsPage } from './BudgetsPage';

const items: Budget[] = [
  { kind: 'team', name: 'group:default/payments', limit: 20_000, reserved: 85.5, committed: 4914.5, left: 15_000, level: 'require_approval' },
  { kind: 'environment', name: 'dev', limit: 1000, reserved: 0, committed: 1120, left: -120, level: 'deny' },
];

const renderBudgets = (sidecar: SidecarDouble) => renderPage(<BudgetsPage />, { sidecar, path: '/infrastructure/budgets' });

test('keeps the place of what is on its way', async () => {
  renderBudgets(new SidecarDouble().on('GET /budgets', never));
  expect(await screen.findByRole('status', { name: 'Loading the budgets' })).toBeInTheDocument();
});

test('says so when nothing has a budget', async () => {
  renderBudgets(new SidecarDouble().on('GET /budgets', { items: [] }));
  expect(await screen.findByRole('heading', { name: 'Nothing has a budget' })).toBeInTheDocument();
});

test('says why they cannot be shown, and tries again when asked', async () => {
  const sidecar = new SidecarDouble().on('GET /budgets', () => refusal(503, { name: 'ServiceUnavailableError', message: 'The database is away.' }));
  renderBudgets(sidecar);
  const alert = await screen.findByRole('alert');
  expect(alert).toHaveTextContent('The database is away.');
  sidecar.on('GET /budgets', { items });
  await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
  expect(await screen.findByRole('table', { name: 'Budgets' })).toBeInTheDocument();
});

test('says in words whose each is, what is taken of it, and what happens above it', async () => {
  const { container } = renderBudgets(new SidecarDouble().on('GET /budgets', { items }));
  await screen.findByRole('table', { name: 'Budgets' });
  const [, payments, dev] = screen.getAllByRole('row');
  expect(within(payments).getByRole('link', { name: 'payments' })).toHaveAttribute('data-weight', 'bold');
  for (const said of ['payments', 'Team', '25 % taken; what exceeds it needs approval', '$85.50', '$4,914.50', '$20,000', '$15,000']) {
    expect(payments).toHaveTextContent(said);
  }
  for (const said of ['dev', 'Environment', '112 % taken; what exceeds it is denied', 'over by $120']) {
    expect(dev).toHaveTextContent(said);
  }
  expect(await findFaults(container)).toEqual([]);
});
