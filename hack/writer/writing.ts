/** The loop of the writer: a row each few milliseconds; whatever fails, a new connection at once. */
import type { Clock } from '../../operator/platform/clock.ts';
import type { Logger } from '../../operator/platform/log.ts';
import type { Ledger, Moment } from './ledger.ts';
import { reasonOf, type Session } from './session.ts';

/** A refused connection answers in microseconds; without a pause the loop would eat the machine. */
const retryMs = 40;

export interface Writing {
  readonly open: () => Promise<Session>;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly periodMs: number;
  /** The first id. */
  readonly from: number;
}

/** Writes until the signal is aborted; the write in flight is finished or given up first. */
export async function write({ open, ledger, clock, log, periodMs, from }: Writing, signal: AbortSignal): Promise<void> {
  const moment = (): Moment => ({ monotonicMs: clock.now(), wall: clock.wall() });
  let id = from - 1;
  let tableIsThere = false;
  let due = clock.now();
  let saidWhy: string | undefined;

  const writeThrough = async (session: Session): Promise<string | undefined> => {
    if (!tableIsThere) await session.makeTable();
    tableIsThere = true;
    while (!signal.aborted) {
      due = Math.max(due + periodMs, clock.now());
      await pause(clock, due - clock.now(), signal);
      id += 1;
      const sentAt = moment();
      ledger.sent(id);
      const insert = await session.insert(id);
      if (insert.outcome === 'unknown') {
        ledger.unknown(id, insert.why);
        return insert.why;
      }
      ledger.acknowledged(id, insert.timeline, sentAt, moment());
    }
    return undefined;
  };

  while (!signal.aborted) {
    const why = await open()
      .then(
        async (session) => {
          log.info({ nextId: id + 1 }, 'connected');
          saidWhy = undefined;
          try {
            return await writeThrough(session);
          } finally {
            session.drop();
          }
        },
        (error: unknown) => {
          ledger.failed(reasonOf(error));
          return reasonOf(error);
        },
      )
      .catch((error: unknown) => reasonOf(error));
    if (why === undefined) continue;
    // During an outage the same reason comes 50 times a second.
    if (why !== saidWhy) log.warn({ why, id }, 'not written');
    saidWhy = why;
    await pause(clock, retryMs, signal);
  }
}

async function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  // An abort only ends the wait; the loop sees it.
  await clock.sleep(milliseconds, signal).catch(() => undefined);
}
