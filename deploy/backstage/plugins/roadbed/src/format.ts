const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });

/** formatMoney writes dollars: "$1,085.50". */
export function formatMoney(amount: number): string {
  return dollars.format(amount);
}

const wholeDollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD', maximumFractionDigits: 0 });

/** formatLimit writes dollars that are mostly whole ones, without cents that say nothing: "$100", "$99.50". */
export function formatLimit(amount: number): string {
  return (Number.isInteger(amount) ? wholeDollars : dollars).format(amount);
}

/** formatMonthly writes a price: "$85.50 / month"; an unknown one says so. */
export function formatMonthly(amount: number | null | undefined): string {
  return typeof amount === 'number' ? `${formatMoney(amount)} / month` : 'Price unknown';
}

/** formatDuration writes seconds: "0.3 s", "38 s", "3 min 20 s", "2 h 5 min". */
export function formatDuration(seconds: number): string {
  if (seconds < 10) {
    return `${Math.max(0, seconds).toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
  }
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** formatRunning writes seconds that are still counted, in whole ones: "4 s", "3 min 20 s". */
export function formatRunning(seconds: number): string {
  return seconds < 10 ? `${Math.max(0, Math.floor(seconds))} s` : formatDuration(Math.floor(seconds));
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayAndYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** formatRelative writes how long ago: "just now", "3 min ago", "2 h ago", "yesterday", then the date. */
export function formatRelative(at: Date, now: Date): string {
  const ago = now.getTime() - at.getTime();
  if (ago < MINUTE) {
    return 'just now';
  }
  if (ago < HOUR) {
    return `${Math.floor(ago / MINUTE)} min ago`;
  }
  if (ago < DAY) {
    return `${Math.floor(ago / HOUR)} h ago`;
  }
  if (ago < 2 * DAY) {
    return 'yesterday';
  }
  return `on ${formatDay(at, now)}`;
}

/** formatAhead writes how long until: "in less than a minute", "in 3 min", "in 2 h", "in 3 days"; "now" once it is over. */
export function formatAhead(at: Date, now: Date): string {
  const ahead = at.getTime() - now.getTime();
  if (ahead <= 0) {
    return 'now';
  }
  if (ahead < MINUTE) {
    return 'in less than a minute';
  }
  if (ahead < HOUR) {
    return `in ${Math.floor(ahead / MINUTE)} min`;
  }
  return ahead < 2 * DAY ? `in ${Math.floor(ahead / HOUR)} h` : `in ${Math.floor(ahead / DAY)} days`;
}

/** formatDay writes a date, with its year when that is another one. */
export function formatDay(at: Date, now: Date): string {
  return (at.getFullYear() === now.getFullYear() ? day : dayAndYear).format(at);
}

const exact = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZone: 'UTC',
});

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** formatSince writes since when something is as it is: the time when that was today, else the date. */
export function formatSince(at: Date, now: Date): string {
  return at.toDateString() === now.toDateString() ? clock.format(at) : formatDay(at, now);
}

/** formatExact writes a moment to the second: "24 Nov 2026, 14:32:07 UTC". */
export function formatExact(at: Date): string {
  return `${exact.format(at)} UTC`;
}

/** formatOwner writes an entity ref as people say it: "group:default/payments" is "payments". */
export function formatOwner(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1).replace(/^[^:]*:/, '');
}

/** formatValue writes a parameter or an output. */
export function formatValue(value: unknown): string {
  if (typeof value === 'boolean') {
    return value ? 'yes' : 'no';
  }
  if (value === null || value === undefined || value === '') {
    return 'none';
  }
  if (typeof value !== 'object') {
    return String(value);
  }
  const parts = Array.isArray(value)
    ? value.map(formatValue)
    : Object.entries(value).map(([name, part]) => `${name} = ${formatValue(part)}`);
  return parts.join(', ') || 'none';
}

// What is written in capitals wherever it stands alone.
const CAPITALS = /\b(gb|url|az|arn|db|id|iam|cpu)\b/gi;

/** formatField writes a field's name: "storage_gb" is "Storage GB". */
export function formatField(name: string): string {
  const words = name.replaceAll('_', ' ').replace(CAPITALS, word => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}
