/** Becoming primary: a door that is shut, one timeline for the epoch, and opening only when enough replicas hold the log. */
import { formatLsn } from '../../ha/position.ts';
import type { SyncSet } from '../../ha/sync-set.ts';
import { MainstayError } from '../../platform/errors.ts';
import { synchronousStandbyNames } from './names.ts';
import { enoughHold, flushedLsn, until, untilSetting, type ServerAccess } from './replication.ts';
import { listWal, readLineage, reserveTimelinesBelow, timelineName, type Lineage } from './timeline.ts';

export interface Gate {
  set(to: 'open' | 'closed'): Promise<void>;
}

/** Sessions opened while it was a replica could write after the promotion, gate or not (pg-lab.md §4). */
export async function endClientSessions(server: ServerAccess): Promise<void> {
  await server.session((session) =>
    session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'mainstay-agent'`,
    ),
  );
}

/** Out of recovery, on `timeline` and no other; clients stay out. */
export async function promote(
  server: ServerAccess,
  gate: Gate,
  wanted: { readonly timeline: number; readonly sync: SyncSet },
  writeNames: (value: string) => Promise<void>,
): Promise<Lineage> {
  await gate.set('closed');
  const names = synchronousStandbyNames(wanted.sync);
  await writeNames(names);
  await server.reload();
  await untilSetting(server, 'synchronous_standby_names', names);
  await endClientSessions(server);
  const { highest } = await listWal(server.data);
  if (highest >= wanted.timeline)
    throw new MainstayError(
      'DataDirectoryUnusable',
      `Timeline ${wanted.timeline} of the claim is used already: this log has ${highest}`,
    );
  // From 2 on: one that began as a clone has no files for what was before, and its own followers may need them.
  await reserveTimelinesBelow(server.data, wanted.timeline, 1);

  await server.session((session) => session.query('SELECT pg_promote(false)'));
  for (;;) {
    const [row] = await server.session((session) => session.query('SELECT pg_is_in_recovery() AS recovering'));
    if (row?.['recovering'] === false) break;
    await server.clock.sleep(10, server.signal);
  }
  const [row] = await server.session((session) =>
    session.query('SELECT pg_walfile_name(pg_current_wal_lsn()) AS file'),
  );
  const file = String(row?.['file']);
  if (!file.startsWith(timelineName(wanted.timeline)))
    throw new MainstayError(
      'DataDirectoryUnusable',
      `Promoted to timeline ${file.slice(0, 8)} instead of ${wanted.timeline}`,
    );
  return readLineage(server.data, wanted.timeline);
}

/** Lets clients in once `sync.acknowledgements` members hold the whole log, its end-of-recovery record included (rule 8). */
export async function openToClients(server: ServerAccess, gate: Gate, sync: SyncSet): Promise<void> {
  const end = await server.session(flushedLsn);
  await until(server, 500, `replicas to hold ${formatLsn(end)}`, () =>
    server.session((session) => enoughHold(session, sync, end)),
  );
  await gate.set('open');
}
