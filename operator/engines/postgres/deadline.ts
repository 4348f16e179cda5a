import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';

/** The outcome of `work`, or DatabaseUnreachable after `milliseconds`. The work itself goes on: file access can't be cancelled. */
export async function within<T>(milliseconds: number, clock: Clock, what: string, work: Promise<T>): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(milliseconds, () =>
      reject(
        new MainstayError('DatabaseUnreachable', `${what} took longer than ${milliseconds} ms`, { retryable: true }),
      ),
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
