/** What makes a replica that receives all the same unfit to lead, and a copy its only way back. */
import { formatGtidSet, subtract, type GtidSet } from '../../ha/gtid-set.ts';
import type { Clock } from '../../platform/clock.ts';
import { applierFailure } from './receiver.ts';
import type { Held } from './log-end.ts';
import { textOf, type Session } from './sql.ts';

export interface FitnessWatch {
  /** From now on it follows. */
  begin(session: Session, held: Held): Promise<void>;
  /** What is wrong, and can't be mended here; undefined: nothing. */
  look(session: Session, held: Held): Promise<string | undefined>;
}

/** Milliseconds: an applier that fails twice within this would fail for ever. */
const patience = 60_000;

export function watchFitness(clock: Clock): FitnessWatch {
  /** Of this very server, which writes nothing itself while it follows. */
  let own: { readonly uuid: string; readonly before: GtidSet } | undefined;
  let failedAt: number | undefined;

  const ownIn = (gtids: GtidSet, uuid: string): GtidSet => new Map([...gtids].filter(([source]) => source === uuid));

  return {
    begin: async (session, held) => {
      const [row] = await session.query('SELECT @@global.server_uuid AS uuid');
      const uuid = textOf(row, 'uuid');
      own = { uuid, before: ownIn(held.all, uuid) };
      failedAt = undefined;
    },
    look: async (session, { executed }) => {
      if (!own) return undefined;
      const errant = subtract(ownIn(executed, own.uuid), own.before);
      if (errant.size > 0) return `somebody has written to this replica: ${formatGtidSet(errant)}`;
      const failure = await applierFailure(session);
      if (failure === undefined) return undefined;
      if (failedAt !== undefined && clock.now() - failedAt < patience)
        return `what it receives can’t be applied: ${failure}`;
      // A lock that was held too long, a disk that was full: it may go on.
      failedAt = clock.now();
      await session.query('START REPLICA SQL_THREAD');
      return undefined;
    },
  };
}
