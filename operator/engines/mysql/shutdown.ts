/** The end of a primary's service: no more writes, none that waits, and all of it acknowledged. */
import type { SyncSet } from '../../ha/sync-set.ts';
import { errorNumber, type Session } from './sql.ts';
import type { Primary } from './sync-set.ts';

/** Seconds that commits under way may take. */
const lockWait = 1;
const lockWaitTimeout = 1205;
const acknowledgedWithin = 2000;

/** False if something was left waiting: it may be in this log alone. */
export async function quiesce(primary: Primary, sync: SyncSet | undefined): Promise<boolean> {
  const readOnly = await primary.control(async (session) => {
    // A server thread that is left waiting would shut it later, after another promotion (mysql-ha.md §3.4).
    await session.query(`SET SESSION lock_wait_timeout = ${lockWait}`);
    // New ones don't get in any more. Whoever holds a lock would be waited for.
    await endClients(session);
    return (await shutForWriting(session)) || (await shutForWriting(session));
  }, 10_000);
  if (!readOnly || !sync) return false;
  // Everything before it is acknowledged with it, where enough still follow.
  return primary.beat(acknowledgedWithin).then(
    () => true,
    () => false,
  );
}

async function shutForWriting(session: Session): Promise<boolean> {
  try {
    await session.query('SET GLOBAL super_read_only = ON');
    return true;
  } catch (error) {
    if (errorNumber(error) === lockWaitTimeout) return false;
    throw error;
  }
}

export async function endClients(session: Session): Promise<void> {
  const rows = await session.query(
    `SELECT processlist_id AS id FROM performance_schema.threads
      WHERE type = 'FOREGROUND' AND processlist_user IS NOT NULL AND processlist_user NOT LIKE 'mainstay%'
        AND processlist_user <> 'event_scheduler' AND processlist_id <> connection_id()`,
  );
  for (const row of rows) await session.query(`KILL ${Number(row['id'])}`).catch(() => undefined); // gone already
}
