/** Time, as everything that decides or waits sees it: monotonic, and replaceable by the simulator's. */
export interface Clock {
  /** Milliseconds on a monotonic clock; only differences mean something. */
  now(): number;
  /** Wall-clock time for people (conditions, history); never for a decision. */
  wall(): Date;
  /** Resolves after `milliseconds`; rejects with the signal's reason when aborted first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `milliseconds`, unless cancelled by the returned function. */
  after(milliseconds: number, callback: () => void): () => void;
}

/** A timer may be early or late by so much. */
const timerSlack = 5;

/**
 * Milliseconds from now until what began at `began` is due again, once in `period`: on multiples of it, so that all that is
 * periodic wakes the process together. Most of what an idle process costs is waking up with cold caches.
 */
export const untilNextBeat = (clock: Clock, period: number, began: number = clock.now()): number =>
  Math.ceil(Math.max(0, (Math.floor((began + timerSlack) / period) + 1) * period - clock.now()));

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => new Date(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, milliseconds);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};
