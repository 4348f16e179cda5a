/** Connecting as many clients would, some of which come at the right moment. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Session } from './session.ts';

/** One that hangs, since its first packet went to a machine that is off, keeps no other from being tried. */
const hangingMs = 50;

/** The first of several attempts to succeed, each begun while the earlier ones hang; rejects when all that were begun have failed. */
export async function openSoonest(open: () => Promise<Session>, signal: AbortSignal): Promise<Session> {
  const { promise, resolve, reject } = Promise.withResolvers<Session>();
  let pending = 0;
  let settled = false;
  const attempt = (): void => {
    pending += 1;
    open().then(
      (session) => {
        pending -= 1;
        if (settled) return session.drop();
        settled = true;
        resolve(session);
      },
      (error: unknown) => {
        pending -= 1;
        // Another one hangs still: the loop below goes on; else whoever called pauses and tries anew.
        if (settled || pending > 0) return;
        settled = true;
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  };
  const over = new AbortController();
  const ended = promise.then(
    () => over.abort(),
    () => over.abort(),
  );
  attempt();
  for (;;) {
    // An abort only ends the wait.
    await delay(hangingMs, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(() => undefined);
    if (over.signal.aborted || signal.aborted) break;
    attempt();
  }
  await ended;
  return promise;
}
