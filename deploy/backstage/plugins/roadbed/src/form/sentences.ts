import type { Alternative, Parameter, Range, Verdict } from '../api/types';
import { formatLimit, formatMoney, formatMonthly } from '../format';
import { sayValue } from './parameters';

/** sayAnswer is the verdict in a few words: "Allowed in dev". */
export function sayAnswer({ allowed, outcome }: Verdict, environment: string | undefined): string {
  const where = environment ? ` in ${environment}` : '';
  if (allowed) {
    return outcome === 'warn' ? `Allowed${where}, with a warning` : `Allowed${where}`;
  }
  return outcome === 'require_approval' ? `Needs approval${where}` : `Not allowed${where}`;
}

/**
 * sayAllowance is how far the price is from the limit, and why that is allowed all the same: "Under dev's $100 limit by
 * $14.50.", "Over dev's $100 limit by $71.00: exempt until 2027-01-31."
 */
export function sayAllowance({ allowance }: Verdict): string | undefined {
  if (!allowance) {
    return undefined;
  }
  const { left, scope, waived } = allowance;
  const limit = `${scope}'s ${formatLimit(allowance.limit)} limit`;
  if (left === 0) {
    return `Exactly ${limit}.`;
  }
  const why = waived ? `: ${waived}` : '';
  return `${left > 0 ? 'Under' : 'Over'} ${limit} by ${formatMoney(Math.abs(left))}${why}.`;
}

/** sayAnnouncement is what a screen reader is told when a verdict comes. */
export function sayAnnouncement(verdict: Verdict, environment: string | undefined): string {
  const parts = [
    formatMonthly(verdict.estimate?.monthly_cost),
    sayAnswer(verdict, environment),
    ...verdict.holds.map(({ message }) => `It will wait: ${message}`),
    ...verdict.findings.filter(({ level }) => level !== 'info').map(({ message }) => message.replace(/\.$/, '')),
  ];
  return `${parts.join('. ')}.`;
}

/** sayAlternative is a change with what everything costs after it: "Turn off multi-AZ ($85.50)". */
export function sayAlternative({ text, monthly_cost }: Alternative): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)} (${formatMoney(monthly_cost)})`;
}

/**
 * sayRange is what a parameter may be while the others stay: "Storage (GB): up to 156 here". It is undefined when that is
 * all that the form lets one choose anyway.
 */
export function sayRange(parameter: Parameter, { spans, values, whole }: Range): string | undefined {
  if (whole) {
    return undefined;
  }
  const say = (value: unknown) => sayValue(parameter, value);
  const parts = [
    ...spans.map(({ min, max }) => {
      if (min === max) {
        return say(min);
      }
      if (min === parameter.min) {
        return `up to ${say(max)}`;
      }
      return max === parameter.max ? `from ${say(min)}` : `${say(min)} to ${say(max)}`;
    }),
    ...values.map(say),
  ];
  return parts.length === 0 ? undefined : `${parameter.title}: ${parts.join(', ')} here`;
}

/** sayBounds is why a number is not counted: "Storage (GB) must be a whole number from 20 to 1,000." */
export function sayBounds({ title, min, max }: Parameter): string {
  const from = min === undefined ? '' : ` from ${min.toLocaleString('en-US')}`;
  const to = max === undefined ? '' : ` to ${max.toLocaleString('en-US')}`;
  return `${title} must be a whole number${from}${to}; the price is without it.`;
}
