import type { Clock } from '../platform/clock.ts';

/** For tests: time that passes only when told to. */
export interface ManualClock extends Clock {
  /** Lets time pass, timers due in it fire in their order, and promises settle between them. */
  advance(milliseconds: number): Promise<void>;
  /** Timers that wait. */
  readonly pending: number;
}

export function manualClock(): ManualClock {
  const timers = new Map<number, { readonly at: number; readonly callback: () => void }>();
  let now = 0;
  let serial = 0;

  function after(milliseconds: number, callback: () => void): () => void {
    serial += 1;
    const id = serial;
    timers.set(id, { at: now + Math.max(0, milliseconds), callback });
    return () => void timers.delete(id);
  }

  return {
    now: () => now,
    wall: () => new Date(Date.UTC(2026, 0, 1) + now),
    after,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        const onAbort = (): void => {
          cancel();
          reject(signal?.reason as Error);
        };
        const cancel = after(milliseconds, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        if (signal?.aborted === true) onAbort();
        else signal?.addEventListener('abort', onAbort, { once: true });
      }),
    get pending() {
      return timers.size;
    },
    async advance(milliseconds) {
      const end = now + milliseconds;
      for (;;) {
        await settle();
        const [next] = [...timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
        if (next === undefined) break;
        now = next[1].at;
        timers.delete(next[0]);
        next[1].callback();
      }
      now = end;
      await settle();
    },
  };
}

/** Until promises chained a few deep have run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
