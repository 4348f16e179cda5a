/** Becoming primary: a door that is shut, one timeline for the epoch, and opening only when enough replicas hold the log. */
import { formatLsn } from '../../ha/position.ts';
import type { SyncSet } from '../../ha/sync-set.ts';
import { MainstayError } from '../../platform/errors.ts';
import { synchronousStandbyNames } from './names.ts';
import { enoughHold, flushedLsn, until, onceSet, type ServerAccess } from './replication.ts';
import type { Session } from './sql.ts';
import { listWal, markerOf, readLineage, reserveTimelinesBelow, timelineName, type Lineage } from './timeline.ts';

export interface Gate {
  /** Takes effect with the next reload. */
  write(to: 'open' | 'closed'): Promise<void>;
}

/** Sessions opened while it was a replica could write after the promotion, gate or not (pg-lab.md §4). */
export async function endClientSessions(session: Session): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'mainstay-agent'`,
  );
}

/** Out of recovery, on `timeline` and no other; clients stay out. */
export async function promote(
  server: ServerAccess,
  gate: Gate,
  wanted: { readonly timeline: number; readonly sync: SyncSet },
  writeNames: (value: string) => Promise<void>,
): Promise<{ readonly lineage: Lineage; readonly marker: string | undefined }> {
  const names = synchronousStandbyNames(wanted.sync);
  await Promise.all([gate.write('closed'), writeNames(names)]);
  await server.reload();
  const { highest } = await listWal(server.data);
  if (highest >= wanted.timeline)
    throw new MainstayError(
      'DataDirectoryUnusable',
      `Timeline ${wanted.timeline} of the claim is used already: this log has ${highest}`,
    );
  await reserveTimelinesBelow(server.data, wanted.timeline);
  // A new session that shows the names proves that the postmaster has reloaded, the gate included.
  const file = await onceSet(server, 'synchronous_standby_names', names, async (session) => {
    await endClientSessions(session);
    await session.query('SELECT pg_promote(false)');
    return untilPromoted(server, session);
  });
  if (!file.startsWith(timelineName(wanted.timeline)))
    throw new MainstayError(
      'DataDirectoryUnusable',
      `Promoted to timeline ${file.slice(0, 8)} instead of ${wanted.timeline}`,
    );
  return {
    lineage: await readLineage(server.data, wanted.timeline),
    marker: await markerOf(server.data, wanted.timeline),
  };
}

/** The WAL file that it writes to once it has left recovery, asked for in a session from before: those go on. */
async function untilPromoted(server: ServerAccess, session: Session): Promise<string> {
  for (;;) {
    const [row] = await session.query(
      'SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END AS file',
    );
    if (typeof row?.['file'] === 'string') return row['file'];
    await server.clock.sleep(5, server.signal);
  }
}

/** Lets clients in once `sync.acknowledgements` members hold the whole log, its end-of-recovery record included (rule 8). */
export async function openToClients(server: ServerAccess, gate: Gate, sync: SyncSet): Promise<void> {
  await server.session(async (session) => {
    const end = await flushedLsn(session);
    await until(server, 500, `replicas to hold ${formatLsn(end)}`, () => enoughHold(session, sync, end));
  });
  await gate.write('open');
  await server.reload();
}
