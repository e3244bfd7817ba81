import { setTimeout as pause } from 'node:timers/promises';

/**
 * until asks again and again until there is an answer other than undefined, and returns it. After `withinMs` it throws,
 * naming what was waited for and why the last try failed.
 */
export async function until<T>(what: string, withinMs: number, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) {
        return answer;
      }
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${withinMs / 1000} s for ${what}`, { cause: last });
    }
    await pause(50);
  }
}
