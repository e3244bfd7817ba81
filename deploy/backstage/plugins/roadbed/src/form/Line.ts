/** A job of a line; `signal` tells it that nobody waits for it any more. */
export type Job = (signal: AbortSignal) => Promise<void>;

/**
 * Line does one job at a time, so that answers cannot come in the wrong order. Of the jobs given meanwhile the newest waits
 * for its turn and the others are dropped; it waits for at most `patienceMs`, after which the one before it is given up.
 */
export class Line {
  private readonly patienceMs: number;
  private running: AbortController | undefined;
  private waiting: Job | undefined;
  private patience: ReturnType<typeof setTimeout> | undefined;

  constructor(patienceMs: number) {
    this.patienceMs = patienceMs;
  }

  /** add does the job now, or as the next one. The job has to see to its own errors. */
  add(job: Job): void {
    if (!this.running) {
      this.run(job);
      return;
    }
    this.waiting = job;
    this.patience ??= setTimeout(() => this.giveUp(), this.patienceMs);
  }

  /** clear gives up what runs and forgets what waits. */
  clear(): void {
    this.waiting = undefined;
    this.giveUp();
  }

  private run(job: Job): void {
    const running = new AbortController();
    this.running = running;
    job(running.signal).finally(() => this.running === running && this.turn());
  }

  private giveUp(): void {
    this.running?.abort();
    this.turn();
  }

  private turn(): void {
    clearTimeout(this.patience);
    this.patience = undefined;
    this.running = undefined;
    const next = this.waiting;
    this.waiting = undefined;
    if (next) {
      this.run(next);
    }
  }
}
