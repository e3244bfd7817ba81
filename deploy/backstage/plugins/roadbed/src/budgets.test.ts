import { aBudgetLeft } from './testing/fixtures';
import { sayBudgets, sayLeft } from './budgets';

const team = aBudgetLeft({ left_after: 4310 });
const environment = aBudgetLeft({ kind: 'environment', name: 'dev', left_after: 914.5, level: 'deny' });
const roomy = aBudgetLeft({ kind: 'cost_center', name: 'CC-1042', left_after: 20_000 });

test('a team reads what it has left, and of what is scarcer than that', () => {
  expect(sayBudgets([team, roomy])).toBe('payments has $4,310 of its budget left after this.');
  expect(sayBudgets([team, environment, roomy])).toBe('payments has $4,310 of its budget left, dev has $914.50 of its budget left after this.');
  expect(sayLeft([team, environment, roomy])).toBe('$4,310 (payments), $914.50 (dev)');
});

test('without a budget of the team the scarcest speaks, and without any nothing does', () => {
  expect(sayBudgets([environment, roomy])).toBe('dev has $914.50 of its budget left after this.');
  expect(sayBudgets([])).toBeUndefined();
});

test('what is exceeded is all that is said', () => {
  const over = aBudgetLeft({ kind: 'environment', name: 'dev', left_after: -120 });
  expect(sayBudgets([team, over])).toBe('dev is over its budget by $120 after this.');
  expect(sayLeft([team, over])).toBe('over by $120 (dev)');
});
