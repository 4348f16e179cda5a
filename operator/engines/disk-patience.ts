/** Aborts what works on a disk that has stalled, where no server runs whose health would tell. */
import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import { diskCanary, usualSegment } from './disk-canary.ts';

/** Milliseconds. A copy at full speed can hold up a small write on a slow disk for a good while. */
const patience = 60_000;
const period = 5000;

export function patienceWithDisk(
  volume: string,
  clock: Clock,
): { readonly signal: AbortSignal; readonly stop: () => void } {
  const stalled = new AbortController();
  const stopped = new AbortController();
  const canary = diskCanary({ folders: [volume], segment: usualSegment });
  void (async () => {
    while (!stopped.signal.aborted) {
      const cancel = clock.after(patience, () =>
        stalled.abort(
          new MainstayError('DatabaseUnreachable', `the disk has not taken a small write for ${patience / 1000} s`, {
            retryable: true,
          }),
        ),
      );
      await canary.write().catch(() => undefined);
      cancel();
      await clock.sleep(period, stopped.signal).catch(() => undefined);
    }
  })();
  return {
    signal: stalled.signal,
    stop: () => {
      stopped.abort(new Error('over'));
      canary.stop();
    },
  };
}
