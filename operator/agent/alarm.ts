import type { Clock } from '../platform/clock.ts';

/** What a periodic loop waits on: its period, or a ring, even one that came while the loop was busy. */
export interface Alarm {
  wait(milliseconds: number): Promise<void>;
  ring(): void;
}

export function createAlarm(clock: Clock, signal: AbortSignal): Alarm {
  let rung = false;
  let wake = (): void => undefined;
  return {
    ring: () => {
      rung = true;
      wake();
    },
    wait: (milliseconds) =>
      new Promise((resolve) => {
        const finish = (): void => {
          rung = false;
          wake = () => undefined;
          cancel();
          signal.removeEventListener('abort', finish);
          resolve();
        };
        const cancel = clock.after(milliseconds, finish);
        signal.addEventListener('abort', finish, { once: true });
        wake = finish;
        if (rung || signal.aborted) finish();
      }),
  };
}
