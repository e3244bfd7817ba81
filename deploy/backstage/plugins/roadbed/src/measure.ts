import type { Measure, MeasureUnit } from './api/types';
import { formatDuration, formatMoney } from './format';

const count = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** formatMeasure writes a measure's number in its unit: "2 min 54 s", "75%", "$85.50 / month", "1,204". */
export function formatMeasure(value: number, unit: MeasureUnit): string {
  switch (unit) {
    case 'minutes':
      return formatDuration(value * 60);
    case 'share':
      return `${count.format(value * 100)}%`;
    case 'dollars_a_month':
      return `${formatMoney(value)} / month`;
    default:
      return count.format(value);
  }
}

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** describeDays says what a measure's days look like: its extremes and when they were. */
export function describeDays({ days, unit }: Measure): string {
  const known = days.flatMap(({ date, value }) => (value === null ? [] : [{ date, value }]));
  if (known.length === 0) {
    return 'By day: none yet.';
  }
  const low = known.reduce((a, b) => (b.value < a.value ? b : a));
  const high = known.reduce((a, b) => (b.value > a.value ? b : a));
  if (low.value === high.value) {
    return `By day: ${formatMeasure(low.value, unit)} on each of ${known.length} ${known.length === 1 ? 'day' : 'days'}.`;
  }
  const on = (date: string) => day.format(new Date(`${date}T00:00:00Z`));
  return `By day: from ${formatMeasure(low.value, unit)} on ${on(low.date)} to ${formatMeasure(high.value, unit)} on ${on(high.date)}.`;
}
