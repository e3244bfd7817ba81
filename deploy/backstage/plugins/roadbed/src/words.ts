import type { Instance, InstanceState, RequestState } from './api/types';

/** How a state is to be felt. */
export type Tone = 'neutral' | 'active' | 'waiting' | 'good' | 'bad';

type Word = { word: string; tone: Tone };

const REQUEST_WORDS: Record<RequestState, Word> = {
  submitted: { word: 'Submitted', tone: 'waiting' },
  queued: { word: 'Waiting', tone: 'waiting' },
  planning: { word: 'Planning', tone: 'active' },
  awaiting_approval: { word: 'Needs approval', tone: 'waiting' },
  applying: { word: 'Running', tone: 'active' },
  lost: { word: 'Out of touch', tone: 'waiting' },
  succeeded: { word: 'Completed', tone: 'good' },
  failed: { word: 'Failed', tone: 'bad' },
  denied: { word: 'Denied', tone: 'neutral' },
  cancelled: { word: 'Cancelled', tone: 'neutral' },
};

const INSTANCE_WORDS: Record<InstanceState, Word> = {
  reserved: { word: 'Being made', tone: 'active' },
  ready: { word: 'Ready', tone: 'good' },
  changing: { word: 'Changing', tone: 'active' },
  incomplete: { word: 'Incomplete', tone: 'bad' },
  destroying: { word: 'Being destroyed', tone: 'active' },
  destroyed: { word: 'Destroyed', tone: 'neutral' },
  released: { word: 'Never made', tone: 'neutral' },
};

/** A state that this version does not know is shown as it came. */
export function requestWord(state: string): Word {
  return REQUEST_WORDS[state as RequestState] ?? { word: state, tone: 'neutral' };
}

export function instanceWord(state: string): Word {
  return INSTANCE_WORDS[state as InstanceState] ?? { word: state, tone: 'neutral' };
}

/** campaignWord is a campaign's state as people say it. */
export function campaignWord(state: string): Word {
  return CAMPAIGN_WORDS[state] ?? { word: state, tone: 'neutral' };
}

const CAMPAIGN_WORDS: Record<string, Word> = {
  open: { word: 'Not started', tone: 'waiting' },
  running: { word: 'Running', tone: 'active' },
  halted: { word: 'Halted', tone: 'bad' },
  finished: { word: 'Finished', tone: 'good' },
  stopped: { word: 'Stopped', tone: 'neutral' },
};

/** requestStates are all states with their words, in the order of a life. */
export const requestStates = (Object.keys(REQUEST_WORDS) as RequestState[]).map(state => ({
  state,
  word: REQUEST_WORDS[state].word,
}));

/** isGone says that an instance is no more, or never was. */
export function isGone(state: string): boolean {
  return state === 'destroyed' || state === 'released';
}

/** LAST_SNAPSHOT is the output that says where a last snapshot is kept of what is destroyed; it is empty where none is. */
export const LAST_SNAPSHOT = 'last_snapshot';

/** lastSnapshot is where the last snapshot of an instance is, or will be, kept; undefined when nothing is. */
export function lastSnapshot({ outputs }: Pick<Instance, 'outputs'>): string | undefined {
  const place = outputs?.[LAST_SNAPSHOT];
  return typeof place === 'string' && place !== '' ? place : undefined;
}

const ENDS: string[] = ['succeeded', 'failed', 'denied', 'cancelled'];

/** hasEnded says that nothing more will happen to a request. */
export function hasEnded(state: string): boolean {
  return ENDS.includes(state);
}

const FIRST: string[] = ['applying', 'planning', 'lost', 'awaiting_approval', 'queued', 'submitted', 'denied', 'failed'];

/** urgency orders requests: running, waiting, denied and failed before the rest. Lower is sooner. */
export function urgency(state: string): number {
  const at = FIRST.indexOf(state);
  return at < 0 ? FIRST.length : at;
}

const ACTIONS: Record<string, string> = {
  create: 'Create',
  update: 'Change',
  upgrade: 'Upgrade',
  destroy: 'Destroy',
  import: 'Import',
  revert: 'Revert',
  adopt: 'Adopt',
  extend: 'Extend',
  rotate: 'Rotate the credentials of',
  hand_over: 'Hand over',
};

/** actionSentence is what a request asks for: "Create orders-store". */
export function actionSentence(request: { action: string; name: string }): string {
  return `${ACTIONS[request.action] ?? request.action} ${request.name}`;
}
