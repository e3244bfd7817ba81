import {
  formatAhead,
  formatDuration,
  formatExact,
  formatField,
  formatMonthly,
  formatOwner,
  formatRelative,
  formatSince,
  formatValue,
} from './format';

test.each([
  [85.5, '$85.50 / month'],
  [1085.5, '$1,085.50 / month'],
  [0, '$0.00 / month'],
  [null, 'Price unknown'],
])('%p a month is written %s', (amount, expected) => {
  expect(formatMonthly(amount)).toBe(expected);
});

test.each([
  [0.12, '0.1 s'],
  [4.2, '4.2 s'],
  [38, '38 s'],
  [180, '3 min'],
  [218, '3 min 38 s'],
  [7500, '2 h 5 min'],
])('%p seconds are written %s', (seconds, expected) => {
  expect(formatDuration(seconds)).toBe(expected);
});

const now = new Date('2026-05-03T14:32:07Z');

test.each([
  ['2026-05-03T14:32:00Z', 'just now'],
  ['2026-05-03T14:29:00Z', '3 min ago'],
  ['2026-05-03T12:00:00Z', '2 h ago'],
  ['2026-05-02T12:00:00Z', 'yesterday'],
  ['2026-04-01T12:00:00Z', 'on 1 Apr'],
  ['2025-04-01T12:00:00Z', 'on 1 Apr 2025'],
  ['2026-05-03T14:32:30Z', 'just now'],
])('%s is said as %s', (at, expected) => {
  expect(formatRelative(new Date(at), now)).toBe(expected);
});

test.each([
  [-1, 'now'],
  [59, 'in less than a minute'],
  [3 * 60, 'in 3 min'],
  [26 * 3600 + 1800, 'in 26 h'],
  [50 * 3600, 'in 2 days'],
])('what is %p seconds ahead is %s', (seconds, expected) => {
  expect(formatAhead(new Date(now.getTime() + seconds * 1000), now)).toBe(expected);
});

test('what holds since today is said with its time, and since earlier with its date', () => {
  expect(formatSince(now, now)).toMatch(/^\d\d:\d\d$/);
  expect(formatSince(new Date('2026-04-01T12:00:00Z'), now)).toBe('1 Apr');
});

test('a moment is exact to the second, in UTC', () => {
  expect(formatExact(now)).toBe('3 May 2026, 14:32:07 UTC');
});

test.each([
  ['group:default/payments', 'payments'],
  ['payments', 'payments'],
])('the owner %s is called %s', (ref, expected) => {
  expect(formatOwner(ref)).toBe(expected);
});

test('fields and values are written for people', () => {
  expect(formatField('storage_gb')).toBe('Storage GB');
  expect(formatField('multi_az')).toBe('Multi AZ');
  expect(formatField('db_instance_id')).toBe('DB instance ID');
  expect(formatValue(true)).toBe('yes');
  expect(formatValue('')).toBe('none');
  expect(formatValue({ max_connections: 200, log: true })).toBe('max_connections = 200, log = yes');
  expect(formatValue(['a', 'b'])).toBe('a, b');
  expect(formatValue({})).toBe('none');
});
