import { useApi } from '@backstage/frontend-plugin-api';
import { roadbedApiRef } from '../api/RoadbedApi';
import type { ChangePreview, Instance, Offering } from '../api/types';
import { useAnswers } from '../form/useAnswers';
import type { Judged } from '../form/useVerdict';
import { readChanges, type Changes, type Edits } from './changes';

/** ChangeAction is a change of parameters, or one to the published version. */
export type ChangeAction = 'update' | 'upgrade';

/** What is known of a change that is being filled in. */
export type Change = Changes & {
  judged: Judged;
  /** preview may still be that of a moment ago, while judged is not settled. */
  preview?: ChangePreview;
};

/** useChange judges a change while it is filled in, as useAnswers asks. */
export function useChange(instance: Instance, offering: Offering, action: ChangeAction, edits: Edits): Change {
  const api = useApi(roadbedApiRef);
  const read = readChanges(offering, instance, edits);
  const ask = async (advise: boolean, signal: AbortSignal) => {
    const preview = await api.evaluateChange(instance.id, { action, parameters: read.changes, advise }, signal);
    return advise ? { preview, advice: preview.advice } : { preview };
  };
  const key = JSON.stringify(read.changes);
  const known = useAnswers<{ preview?: ChangePreview; advice?: ChangePreview['advice'] }>(
    key,
    { key: '', answers: {} },
    { judge: signal => ask(false, signal), advise: signal => ask(true, signal) },
  );
  const { preview, advice } = known.answers;
  return {
    ...read,
    preview,
    judged: {
      offering,
      parameters: preview?.after ?? instance.parameters,
      uncounted: read.invalid.filter(({ type }) => type === 'integer'),
      verdict: preview,
      advice,
      effects: [],
      presets: {},
      error: known.error,
      isSettled: known.key === key && known.adviceKey === key,
    },
  };
}
