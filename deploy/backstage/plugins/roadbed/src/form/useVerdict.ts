import { useEffect, useMemo, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { explainError } from '../api/explainError';
import { roadbedApiRef, type RoadbedApi } from '../api/RoadbedApi';
import type { Advice, Offering, Parameter, Parameters, Verdict } from '../api/types';
import { changedParameters, fillPreset, readForm } from './parameters';

/** A verdict follows the last keystroke after this pause, advice after the longer one. */
const PAUSE_MS = 100;
const IDLE_MS = 300;
const AGAIN_MS = 5_000;

/** Effect is what a parameter adds to the monthly price, in dollars, compared with its default. */
export type Effect = { parameter: Parameter; monthly: number };

/** What is known of the form as it is. */
export type Judged = {
  offering?: Offering;
  parameters: Parameters;
  /** uncounted are numbers out of bounds: the price is without them. */
  uncounted: Parameter[];
  verdict?: Verdict;
  /** advice and effects may still be those of a moment ago, while isSettled is false. */
  advice?: Advice;
  effects: Effect[];
  /** presets are the verdicts on the form with each preset in it, by name, where they are asked for. */
  presets: Record<string, Verdict>;
  isSettled: boolean;
  error?: unknown;
};

type Known = Pick<Judged, 'verdict' | 'advice' | 'effects' | 'presets' | 'error'> & { key: string; adviceKey?: string };

const NOTHING = { effects: [], presets: {} };

/** What the page before had on show, so that turning a page starts with it and not with an empty panel. */
const shown = new WeakMap<RoadbedApi, Map<string, { offering?: Offering; known: Known }>>();

/**
 * useVerdict judges a form while it is filled in. Answers that were overtaken are dropped and their calls given up; while
 * the sidecar is away it is asked again every few seconds.
 */
export function useVerdict(offeringId: string, form: Parameters, offersPresets: boolean): Judged {
  const api = useApi(roadbedApiRef);
  const before = useMemo(() => shown.get(api)?.get(offeringId), [api, offeringId]);
  const [offering, setOffering] = useState(before?.offering);
  const [known, setKnown] = useState<Known>(before?.known ?? { key: '', ...NOTHING });
  const [turn, setTurn] = useState(0);
  const given = offering ? readForm(offering, form) : { parameters: {}, uncounted: [] };
  const key = JSON.stringify(given.parameters);

  useEffect(() => {
    const calls = new AbortController();
    const timers: ReturnType<typeof setTimeout>[] = [];
    const after = (milliseconds: number, run: () => Promise<void>) =>
      timers.push(
        setTimeout(() => {
          run().catch(error => {
            if (calls.signal.aborted) {
              return;
            }
            setKnown(now => ({ key, ...NOTHING, presets: now.presets, error }));
            const { status } = explainError(error);
            if (status === undefined || status >= 500 || status === 429) {
              timers.push(setTimeout(() => setTurn(turn + 1), AGAIN_MS));
            }
          });
        }, milliseconds),
      );
    const overtaken = () => calls.signal.aborted;

    if (!offering) {
      after(0, async () => {
        const found = await api.getOffering(offeringId);
        if (!overtaken()) {
          setOffering(found);
        }
      });
    } else {
      const parameters = JSON.parse(key) as Parameters;
      const judge = (change: Parameters, advise: boolean) =>
        api.evaluate(offeringId, { parameters: { ...parameters, ...change }, partial: true, advise }, calls.signal);
      after(known.key ? PAUSE_MS : 0, async () => {
        const verdict = await judge({}, false);
        if (!overtaken()) {
          setKnown(now => ({ ...now, key, verdict, error: undefined }));
        }
      });
      after(IDLE_MS, async () => {
        const changed = changedParameters(offering, parameters);
        const offered = offersPresets ? offering.presets : [];
        const [verdict, without, withPreset] = await Promise.all([
          judge({}, true),
          Promise.all(changed.map(parameter => judge({ [parameter.name]: parameter.default }, false))),
          Promise.all(offered.map(preset => judge(fillPreset(offering, preset), false))),
        ]);
        if (!overtaken()) {
          const effects = changed.flatMap((parameter, index) => effectOf(parameter, verdict, without[index]));
          const presets = Object.fromEntries(offered.map(({ name }, index) => [name, withPreset[index]]));
          setKnown({ key, adviceKey: key, verdict, advice: verdict.advice, effects, presets });
        }
      });
    }
    return () => {
      calls.abort();
      timers.forEach(clearTimeout);
    };
    // Whether something is known already only sets the pause.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [api, offeringId, offering, offersPresets, key, turn]);

  useEffect(() => {
    const byOffering = shown.get(api) ?? new Map();
    shown.set(api, byOffering.set(offeringId, { offering, known }));
  }, [api, offeringId, offering, known]);

  const { verdict, advice, effects, presets, error } = known;
  return { offering, ...given, verdict, advice, effects, presets, error, isSettled: known.key === key && known.adviceKey === key };
}

function effectOf(parameter: Parameter, now: Verdict, then: Verdict): Effect[] {
  const [with_, without] = [now.estimate?.monthly_cost, then.estimate?.monthly_cost];
  if (with_ === undefined || without === undefined || with_ === without) {
    return [];
  }
  return [{ parameter, monthly: with_ - without }];
}
