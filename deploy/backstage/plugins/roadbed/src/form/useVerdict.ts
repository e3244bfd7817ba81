import { useEffect, useMemo, useState } from 'react';
import { useApi } from '@backstage/frontend-plugin-api';
import { roadbedApiRef, type RoadbedApi } from '../api/RoadbedApi';
import type { Advice, Offering, Parameter, Parameters, Verdict } from '../api/types';
import { changedParameters, fillPreset, readForm, readLifetime } from './parameters';
import { useAnswers, type Known } from './useAnswers';

/** Effect is what a parameter adds to the monthly price, in dollars, compared with its default. */
export type Effect = { parameter: Parameter; monthly: number };

/** What is known of the form as it is. */
export type Judged = {
  offering?: Offering;
  parameters: Parameters;
  /** lifetime is how long it lives, such as "24h"; undefined is as the offering says. */
  lifetime?: string;
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

type Answers = Pick<Judged, 'offering' | 'verdict' | 'advice' | 'effects' | 'presets'>;

/** What the page before had on show, so that turning a page starts with it and not with an empty panel. */
const shown = new WeakMap<RoadbedApi, Map<string, Known<Answers>>>();

/** useVerdict judges a form while it is filled in, as useAnswers asks. */
export function useVerdict(offeringId: string, form: Parameters, offersPresets: boolean): Judged {
  const api = useApi(roadbedApiRef);
  const start = useMemo<Known<Answers>>(
    () => shown.get(api)?.get(offeringId) ?? { key: '', answers: { effects: [], presets: {} } },
    [api, offeringId],
  );
  const [offering, setOffering] = useState(start.answers.offering);
  const given = offering ? readForm(offering, form) : { parameters: {}, uncounted: [] };
  const lifetime = readLifetime(form);
  const key = JSON.stringify([offering?.id, given.parameters, lifetime, offersPresets]);
  const { parameters } = given;
  const judge = (change: Parameters, advise: boolean, signal: AbortSignal) =>
    api.evaluate(offeringId, { parameters: { ...parameters, ...change }, expires_in: lifetime, partial: true, advise }, signal);

  const known = useAnswers<Answers>(key, start, {
    async judge(signal) {
      return offering ? { verdict: await judge({}, false, signal) } : { offering: await api.getOffering(offeringId) };
    },
    advise: offering && (async signal => {
      const changed = changedParameters(offering, parameters);
      const offered = offersPresets ? offering.presets : [];
      const [verdict, without, withPreset] = await Promise.all([
        judge({}, true, signal),
        Promise.all(changed.map(({ name, default: usual }) => judge({ [name]: usual }, false, signal))),
        Promise.all(offered.map(preset => judge(fillPreset(offering, preset), false, signal))),
      ]);
      return {
        verdict,
        advice: verdict.advice,
        effects: changed.flatMap((parameter, index) => effectOf(parameter, verdict, without[index])),
        presets: Object.fromEntries(offered.map(({ name }, index) => [name, withPreset[index]])),
      };
    }),
  });
  useEffect(() => setOffering(known.answers.offering), [known.answers.offering]);

  useEffect(() => {
    const byOffering = shown.get(api) ?? new Map();
    shown.set(api, byOffering.set(offeringId, known));
  }, [api, offeringId, known]);

  const { answers, error } = known;
  return { ...answers, offering, ...given, lifetime, error, isSettled: known.key === key && known.adviceKey === key };
}

function effectOf(parameter: Parameter, now: Verdict, then: Verdict): Effect[] {
  const [with_, without] = [now.estimate?.monthly_cost, then.estimate?.monthly_cost];
  if (with_ === undefined || without === undefined || with_ === without) {
    return [];
  }
  return [{ parameter, monthly: with_ - without }];
}
