/** The loop of a reader: through one Service, a lane after another, on one connection as long as that lives. */
import type { Clock } from '../../operator/platform/clock.ts';
import { idsOfLane, type Ledger } from './ledger.ts';
import type { Read, ReadService } from './reads.ts';
import { reasonOf, type Session } from './session.ts';

export interface Reading {
  readonly service: ReadService;
  readonly open: () => Promise<Session>;
  readonly ledger: Pick<Ledger, 'newestSent' | 'failed'>;
  readonly lanes: number;
  readonly clock: Clock;
  readonly keep: (read: Read) => void;
}

/** Of each reader: often enough to see a takeover happen, too seldom to weigh on the machine. */
const periodMs = 50;
/** So many of a lane's newest ids are looked at: half a minute of writes, so that a read costs the same for ever. */
const seenIds = 1_000;

/** Reads until the signal is aborted. */
export async function read({ service, open, ledger, lanes, clock, keep }: Reading, signal: AbortSignal): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  let session = 0;
  let turn = 0;
  while (!isOver()) {
    session += 1;
    try {
      const connection = await open();
      try {
        while (!isOver()) {
          const lane = turn % lanes;
          turn += 1;
          const sent = ledger.newestSent(lane);
          const first = lane * idsOfLane + 1;
          const floor = Math.max(first, (sent ?? first) - seenIds);
          const askedMs = clock.now();
          const seen = await connection.see(floor, first + idsOfLane - 2);
          const sentByThen = ledger.newestSent(lane) ?? first - 1;
          keep({ service, session, lane, floor, ...seen, askedMs, sentByThen });
          await pause(clock, signal);
        }
      } finally {
        connection.drop();
      }
    } catch (error) {
      ledger.failed(`-${service}: ${reasonOf(error)}`);
      await pause(clock, signal);
    }
  }
}

async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  // An abort only ends the wait.
  await clock.sleep(periodMs, signal).catch(() => undefined);
}
