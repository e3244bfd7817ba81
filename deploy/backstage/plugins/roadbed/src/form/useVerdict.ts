import { useEffect, useMemo, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { explainError } from '../api/explainError';
import { roadbedApiRef, type RoadbedApi } from '../api/RoadbedApi';
import type { Advice, Offering, Parameter, Parameters, Verdict } from '../api/types';
import { Line } from './Line';
import { changedParameters, fillPreset, readForm } from './parameters';

/** A verdict follows each change at once; advice, which costs more, follows the last one after this pause. */
const IDLE_MS = 300;
/** How long a verdict that nobody needs any more may hold up the next one. */
const PATIENCE_MS = 1_000;
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
 * useVerdict judges a form while it is filled in: every change at once, with one call for a verdict on its way at a time.
 * What is on show stays until there is newer; answers that were overtaken are dropped. While the sidecar is away it is
 * asked again every few seconds.
 */
export function useVerdict(offeringId: string, form: Parameters, offersPresets: boolean): Judged {
  const api = useApi(roadbedApiRef);
  const before = useMemo(() => shown.get(api)?.get(offeringId), [api, offeringId]);
  const [offering, setOffering] = useState(before?.offering);
  const [known, setKnown] = useState<Known>(before?.known ?? { key: '', ...NOTHING });
  const [turn, setTurn] = useState(0);
  const given = offering ? readForm(offering, form) : { parameters: {}, uncounted: [] };
  const key = JSON.stringify(given.parameters);
  const [line] = useState(() => new Line(PATIENCE_MS));
  useEffect(() => () => line.clear(), [line]);

  useEffect(() => {
    let overtaken = false;
    const advising = new AbortController();
    const timers: ReturnType<typeof setTimeout>[] = [];
    const fail = (error: unknown) => {
      if (overtaken) {
        return;
      }
      setKnown(now => ({ key, ...NOTHING, presets: now.presets, error }));
      const { status } = explainError(error);
      if (status === undefined || status >= 500 || status === 429) {
        timers.push(setTimeout(() => setTurn(turn + 1), AGAIN_MS));
      }
    };

    if (!offering) {
      api.getOffering(offeringId).then(found => overtaken || setOffering(found), fail);
    } else {
      const parameters = JSON.parse(key) as Parameters;
      const judge = (change: Parameters, advise: boolean, signal: AbortSignal) =>
        api.evaluate(offeringId, { parameters: { ...parameters, ...change }, partial: true, advise }, signal);
      line.add(async signal => {
        try {
          const verdict = await judge({}, false, signal);
          if (!overtaken) {
            setKnown(now => ({ ...now, key, verdict, error: undefined }));
          }
        } catch (error) {
          fail(error);
        }
      });
      const advise = async () => {
        const changed = changedParameters(offering, parameters);
        const offered = offersPresets ? offering.presets : [];
        const [verdict, without, withPreset] = await Promise.all([
          judge({}, true, advising.signal),
          Promise.all(changed.map(({ name, default: usual }) => judge({ [name]: usual }, false, advising.signal))),
          Promise.all(offered.map(preset => judge(fillPreset(offering, preset), false, advising.signal))),
        ]);
        if (!overtaken) {
          const effects = changed.flatMap((parameter, index) => effectOf(parameter, verdict, without[index]));
          const presets = Object.fromEntries(offered.map(({ name }, index) => [name, withPreset[index]]));
          setKnown({ key, adviceKey: key, verdict, advice: verdict.advice, effects, presets });
        }
      };
      timers.push(setTimeout(() => advise().catch(fail), IDLE_MS));
    }
    return () => {
      overtaken = true;
      advising.abort();
      timers.forEach(clearTimeout);
    };
  }, [api, line, offeringId, offering, offersPresets, key, turn]);

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
