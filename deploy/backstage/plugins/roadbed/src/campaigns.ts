import type { CampaignCounts } from './api/types';

const WORDS: [keyof CampaignCounts, string][] = [
  ['done', 'upgraded'],
  ['asked', 'on their way'],
  ['ready', 'to come'],
  ['failed', 'failed'],
  ['unapproved', 'not approved'],
  ['opted_out', 'opted out'],
  ['cannot_plan', 'cannot be planned'],
  ['planning', 'being planned'],
  ['gone', 'gone'],
];

/** sayCounts says how many resources are in which state, those that there are. */
export function sayCounts(counts: CampaignCounts): string {
  const said = WORDS.filter(([state]) => counts[state] > 0).map(([state, word]) => `${counts[state]} ${word}`);
  return said.join(', ') || 'none';
}

/** MEMBER_WORDS are a member's states in words. */
export const MEMBER_WORDS: Record<string, string> = {
  planning: 'Being planned',
  cannot_plan: 'Cannot be planned',
  unapproved: 'Not approved',
  opted_out: 'Opted out',
  ready: 'To come',
  asked: 'On its way',
  done: 'Upgraded',
  failed: 'Failed',
  gone: 'Gone',
};
