import { aVerdict } from '../testing/fixtures';
import { sayAllowance } from './sentences';

test.each([
  [14.5, undefined, "Under dev's $100 limit by $14.50."],
  [0, undefined, "Exactly dev's $100 limit."],
  [-71, undefined, "Over dev's $100 limit by $71.00."],
  [-71, 'exempt until 2027-01-31', "Over dev's $100 limit by $71.00: exempt until 2027-01-31."],
])('with %d left and %s the limit is spoken of as it is', (left, waived, sentence) => {
  expect(sayAllowance(aVerdict({ allowance: { limit: 100, left, scope: 'dev', waived } }))).toBe(sentence);
});
