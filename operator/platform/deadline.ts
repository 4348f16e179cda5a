/** Limits for what can't be cancelled: file access, above all, on a disk that has stalled. The work itself goes on. */
import type { Clock } from './clock.ts';
import { MainstayError } from './errors.ts';

/** The outcome of `work`, or DatabaseUnreachable after `milliseconds`. */
export async function within<T>(milliseconds: number, clock: Clock, what: string, work: Promise<T>): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = clock.after(milliseconds, () => reject(unreachable(`${what} took longer than ${milliseconds} ms`)));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}

/** The outcome of `work`, or DatabaseUnreachable where it goes on for more than `grace` milliseconds after `signal` aborted. */
export async function endedBy<T>(
  signal: AbortSignal,
  grace: number,
  clock: Clock,
  what: string,
  work: Promise<T>,
): Promise<T> {
  let cancel = (): void => undefined;
  let abort = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    abort = () => (cancel = clock.after(grace, () => reject(unreachable(`${what} waits for the disk`))));
  });
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, late]);
  } finally {
    signal.removeEventListener('abort', abort);
    cancel();
  }
}

const unreachable = (message: string): MainstayError =>
  new MainstayError('DatabaseUnreachable', message, { retryable: true });
