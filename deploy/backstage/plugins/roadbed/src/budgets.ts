import type { BudgetLeft } from './api/types';
import { formatLimit, formatOwner } from './format';

/**
 * tellingBudgets are those of an ask's budgets that say how it stands: those that it would exceed; else its team's and
 * whatever has less left than that.
 */
export function tellingBudgets(budgets: BudgetLeft[]): BudgetLeft[] {
  const exceeded = budgets.filter(budget => budget.left_after < 0);
  if (exceeded.length > 0) {
    return exceeded;
  }
  const most = budgets.find(({ kind }) => kind === 'team')?.left_after ?? Math.min(...budgets.map(budget => budget.left_after));
  return budgets.filter(budget => budget.left_after <= most);
}

/** sayBudgets is what an ask leaves of its budgets: "payments has $4,310 of its budget left after this." */
export function sayBudgets(budgets: BudgetLeft[]): string | undefined {
  const telling = tellingBudgets(budgets).map(({ name, left_after: left }) =>
    left < 0 ? `${formatOwner(name)} is over its budget by ${formatLimit(-left)}` : `${formatOwner(name)} has ${formatLimit(left)} of its budget left`,
  );
  return telling.length === 0 ? undefined : `${telling.join(', ')} after this.`;
}

/** sayLeft is what an instance's budgets have left: "$4,310 (payments)". */
export function sayLeft(budgets: BudgetLeft[]): string {
  return tellingBudgets(budgets)
    .map(({ name, left_after: left }) => `${left < 0 ? `over by ${formatLimit(-left)}` : formatLimit(left)} (${formatOwner(name)})`)
    .join(', ');
}
