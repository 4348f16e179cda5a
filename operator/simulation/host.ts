/** Something that computes: it can be paused (its messages and timers wait), and it can die (they are lost). */
import type { VirtualTime } from './virtual-time.ts';

/** A sequence of steps with waits between them: milliseconds on the host's clock, or until `resume` is called. */
export type Activity<T> = Generator<Pause, T, unknown>;
export type Pause = number | ((resume: (value: unknown) => void) => void);

export function* until<T>(begin: (resume: (value: T) => void) => void): Activity<T> {
  return (yield (resume) => begin(resume)) as T;
}

/** An effect or a call that failed as it may in life; anything else thrown is a fault of the simulator. */
export class Failed extends Error {}

export interface Host {
  /** How fast its clock runs. */
  readonly rate: number;
  /** The host's own monotonic clock, which may drift. */
  readonly now: () => number;
  readonly alive: () => boolean;
  /** Counts its deaths. */
  readonly life: () => number;
  readonly paused: () => boolean;
  /** When the last pause ended, on the world's clock. */
  readonly resumedAt: () => number;
  readonly later: (milliseconds: number, event: () => void) => void;
  /** Something arrives from outside: lost if the host is dead, later if it is paused. */
  readonly receive: (event: () => void) => void;
  /** Runs an activity until its end, the host's death, or a call of the function returned. */
  run<T>(
    activity: Activity<T>,
    ended?: (outcome: { readonly value: T } | { readonly failed: Failed }) => void,
  ): () => void;
  readonly start: () => void;
  readonly die: () => void;
  readonly pause: () => void;
  readonly resume: () => void;
}

export function createHost(time: VirtualTime, clockRate: number): Host {
  let life = 0;
  let alive = false;
  let paused = false;
  let resumedAt = -Infinity;
  let waiting: (() => void)[] = [];

  const receive = (event: () => void): void => {
    if (!alive) return;
    if (paused) waiting.push(event);
    else event();
  };
  const later = (milliseconds: number, event: () => void): void => {
    const mine = life;
    time.after(Math.max(0, milliseconds) / clockRate, () => {
      if (mine === life) receive(event);
    });
  };
  return {
    rate: clockRate,
    now: () => time.now() * clockRate,
    alive: () => alive,
    life: () => life,
    paused: () => paused,
    resumedAt: () => resumedAt,
    later,
    receive,
    run: (activity, ended) => {
      const mine = life;
      let cancelled = false;
      const advance = (value?: unknown): void => {
        let step;
        try {
          step = activity.next(value);
        } catch (error) {
          if (!(error instanceof Failed)) throw error;
          ended?.({ failed: error });
          return;
        }
        if (step.done) {
          ended?.({ value: step.value });
          return;
        }
        let used = false;
        const resume = (result?: unknown): void => {
          if (used || cancelled || mine !== life) return;
          used = true;
          advance(result);
        };
        if (typeof step.value === 'number') later(step.value, resume);
        else step.value(resume);
      };
      advance();
      return () => (cancelled = true);
    },
    start: () => (alive = true),
    die: () => {
      life++;
      [alive, paused, waiting] = [false, false, []];
    },
    pause: () => (paused = alive),
    resume: () => {
      if (!paused) return;
      [paused, resumedAt] = [false, time.now()];
      const mine = life;
      const due = waiting;
      waiting = [];
      for (const event of due)
        if (mine !== life) return;
        else if (paused as boolean) waiting.push(event);
        else event();
    },
  };
}
