import { useEffect, useRef, useState } from 'react';
import { explainError } from '../api/explainError';
import { Line } from './Line';

/** Advice costs more than a verdict, and follows the last change after this pause. */
const IDLE_MS = 300;
/** How long a verdict that nobody needs any more may hold up the next one. */
const PATIENCE_MS = 1_000;
const AGAIN_MS = 5_000;

/** Known is what has been answered so far: `key` is what was asked about last, and `adviceKey` what was last advised on. */
export type Known<A> = { key: string; adviceKey?: string; answers: A; error?: unknown };

/** What is asked of the sidecar; each gives the answers that it has. */
export type Questions<A> = {
  judge(signal: AbortSignal): Promise<Partial<A>>;
  advise?(signal: AbortSignal): Promise<Partial<A>>;
};

/**
 * useAnswers asks whenever `key` changes: to judge at once, with one such call on its way at a time, and for advice after a
 * pause. What is on show stays until there is newer; answers that were overtaken are dropped. While the sidecar is away it
 * is asked again every few seconds.
 */
export function useAnswers<A>(key: string, start: Known<A>, questions: Questions<A>): Known<A> {
  const [known, setKnown] = useState(start);
  const [turn, setTurn] = useState(0);
  const [line] = useState(() => new Line(PATIENCE_MS));
  const latest = useRef(questions);
  latest.current = questions;
  useEffect(() => () => line.clear(), [line]);

  useEffect(() => {
    let overtaken = false;
    const { judge, advise } = latest.current;
    const advising = new AbortController();
    const timers: ReturnType<typeof setTimeout>[] = [];
    const take = (answers: Partial<A>, changes: Partial<Known<A>>) => {
      if (!overtaken) {
        setKnown(now => ({ ...now, ...changes, key, answers: { ...now.answers, ...answers }, error: undefined }));
      }
    };
    const fail = (error: unknown) => {
      if (overtaken) {
        return;
      }
      setKnown(now => ({ ...now, key, adviceKey: undefined, error }));
      const { status } = explainError(error);
      if (status === undefined || status >= 500 || status === 429) {
        timers.push(setTimeout(() => setTurn(turn + 1), AGAIN_MS));
      }
    };
    line.add(signal => judge(signal).then(answers => take(answers, {}), fail));
    if (advise) {
      const begin = () => advise(advising.signal).then(answers => take(answers, { adviceKey: key }), fail);
      timers.push(setTimeout(begin, IDLE_MS));
    }
    return () => {
      overtaken = true;
      advising.abort();
      timers.forEach(clearTimeout);
    };
  }, [line, key, turn]);

  return known;
}
