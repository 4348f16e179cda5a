/** Following a primary, sealing, and the primary's own view of its replicas and sync set. */
import type { InstanceName, Position } from '../../api/cluster-state.ts';
import { formatLsn, lsnOf, parseLsn } from '../../ha/position.ts';
import type { ReplicaHealth, SyncSet } from '../../ha/sync-set.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { everyStandbyName, isStandbyName, slotName, standbyName, synchronousStandbyNames, voterOf } from './names.ts';
import { kill } from '../processes.ts';
import { walreceivers } from './process.ts';
import type { Session } from './sql.ts';

/** A sync standby that has not answered for so long leaves the sync set; it answers once a second when idle. */
const silenceBeforeUnfit = 2500;

export interface ServerAccess {
  /** A new session, closed afterwards. */
  session<T>(use: (session: Session) => Promise<T>, timeoutMs?: number): Promise<T>;
  /** Writes changed settings and tells the postmaster. */
  reload(): Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly data: string;
}

/**
 * Hands `use` a session that shows the setting with this value. Only a new session can: it proves that the postmaster has
 * reloaded and told its children.
 */
export async function onceSet<T>(
  server: ServerAccess,
  name: string,
  value: string,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  for (;;) {
    const outcome = await server.session(async (session) => {
      const [row] = await session.query('SELECT current_setting($1) AS value', [name]);
      return row?.['value'] === value ? { result: await use(session) } : undefined;
    });
    if (outcome) return outcome.result;
    await server.clock.sleep(5, server.signal);
  }
}

const nothingMore = (): Promise<void> => Promise.resolve();

/**
 * Stops receiving for good, with `primary_conninfo` already empty on disk; the final position. A reload alone is no seal:
 * while replay is paused or blocked the walreceiver goes on receiving and acknowledging (pg-lab.md §2). `also` is done in the
 * same session afterwards: the time of opening another counts.
 */
export async function seal(server: ServerAccess, also: (session: Session) => Promise<void>): Promise<LogEnd> {
  await server.reload();
  return onceSet(server, 'primary_conninfo', '', async (session) => {
    for (;;) {
      const receivers = await walreceivers(server.data);
      if (receivers.length === 0) break;
      // SIGTERM: it flushes and answers once more; SIGKILL would crash the server.
      for (const pid of receivers) kill(pid, 'SIGTERM');
      await server.clock.sleep(5, server.signal);
    }
    const end = await endOfLog(server, session);
    await also(session);
    return end;
  });
}

interface LogEnd {
  readonly lsn: string;
  /** Bytes of it that are not replayed yet. */
  readonly backlog: number;
}

/** The end of what was received and flushed, or, after a restart, of what there was to replay. */
async function endOfLog(server: ServerAccess, session: Session): Promise<LogEnd> {
  for (;;) {
    const [row] = await session.query(
      `SELECT pg_last_wal_receive_lsn()::text AS received, pg_last_wal_replay_lsn()::text AS replayed,
              pg_is_wal_replay_paused() AS paused,
              (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup') AS startup`,
    );
    if (row?.['paused'] === true) await session.query('SELECT pg_wal_replay_resume()');
    const replayed = row?.['replayed'] as string | null | undefined;
    const received = row?.['received'] as string | null | undefined;
    const startup = row?.['startup'] as string | null | undefined;
    if (replayed) {
      // Without a walreceiver's word, the log's end is known once the startup process waits for more.
      const atRest = /^Recovery(WalStream|RetrieveRetryInterval|WalAll)$/.test(startup ?? '');
      const ahead = received ? Number(parseLsn(received) - parseLsn(replayed)) : 0;
      if (received && ahead > 0) return { lsn: received, backlog: ahead };
      if (received || atRest) return { lsn: replayed, backlog: 0 };
    }
    await server.clock.sleep(10, server.signal);
  }
}

interface Walsender {
  readonly name: string;
  readonly state: string;
  readonly flushed: bigint;
  /** The standby's own clock when it last answered: good for telling whether it has, not when. */
  readonly answered: string;
}

async function walsenders(session: Session): Promise<readonly Walsender[]> {
  const rows = await session.query(
    `SELECT application_name AS name, state, coalesce(flush_lsn, '0/0')::text AS flushed, coalesce(reply_time::text, '') AS answered
       FROM pg_stat_replication`,
  );
  return rows
    .map((row) => {
      const text = (key: string): string => String(row[key]);
      const [name, state, answered] = [text('name'), text('state'), text('answered')];
      return { name, state, answered, flushed: parseLsn(text('flushed')) };
    })
    .filter(({ name }) => isStandbyName(name));
}

/** The replicas as the primary sees them, call by call: fit are those that stream and have answered lately by our clock. */
export function replicaWatch(
  clock: Clock,
): (session: Session, instances: readonly InstanceName[]) => Promise<readonly ReplicaHealth[]> {
  let heard = new Map<string, { readonly answered: string; readonly at: number }>();
  return async (session, instances) => {
    const rows = await walsenders(session);
    heard = new Map(
      rows.map(({ name, answered }) => {
        const before = heard.get(name);
        return [name, before?.answered === answered ? before : { answered, at: clock.now() }];
      }),
    );
    return rows.flatMap(({ name, state }) => {
      const voter = voterOf(name, instances);
      const silence = clock.now() - (heard.get(name)?.at ?? 0);
      return voter ? [{ voter, streaming: state === 'streaming' && silence < silenceBeforeUnfit }] : [];
    });
  };
}

/** True when as many members as must acknowledge a write have flushed everything up to `lsn`. */
export async function enoughHold(session: Session, sync: SyncSet, lsn: bigint): Promise<boolean> {
  if (sync.acknowledgements === 0) return true;
  const holding = new Set((await walsenders(session)).filter((r) => r.flushed >= lsn).map((r) => r.name));
  const holders = sync.members.filter((member) => holding.has(standbyName(member)));
  return new Set(holders.map((member) => member.instance)).size >= sync.acknowledgements;
}

export async function flushedLsn(session: Session): Promise<bigint> {
  const [row] = await session.query('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return parseLsn(String(row?.['lsn']));
}

/**
 * Brings the database to `to` and proves it: every walsender has read the change (its priority says so, nothing else
 * does), and enough members hold the primary's whole log as of then (pg-lab.md §3).
 */
export async function applySyncSet(
  server: ServerAccess,
  to: SyncSet,
  from: SyncSet | undefined,
  barrier: boolean,
  write: (synchronousStandbyNames: string) => Promise<void>,
): Promise<void> {
  const change = async (value: string, priority: (name: string) => number): Promise<void> => {
    await write(value);
    await server.reload();
    await onceSet(server, 'synchronous_standby_names', value, nothingMore);
    for (;;) {
      const rows = await server.session((session) =>
        session.query('SELECT application_name AS name, sync_priority AS priority FROM pg_stat_replication'),
      );
      const late = rows.filter(
        (row) => isStandbyName(String(row['name'])) && Number(row['priority']) !== priority(String(row['name'])),
      );
      if (late.length === 0) return;
      await server.clock.sleep(5, server.signal);
    }
  };
  const names = to.members.map(standbyName);
  // Between two numbers of the same kind the priorities don't move: go through a stricter setting whose priorities do.
  if (to.acknowledgements > 0 && from?.acknowledgements !== to.acknowledgements && to.members.length > 0)
    await change(everyStandbyName(to), (name) => (names.includes(name) ? names.indexOf(name) + 2 : 0));
  await change(synchronousStandbyNames(to), (name) => (to.acknowledgements > 0 && names.includes(name) ? 1 : 0));
  // From empty to not empty, backends wait only once the checkpointer has read the change; it has when it has done one.
  if (from?.acknowledgements === 0 && to.acknowledgements > 0)
    await server.session((session) => session.query('CHECKPOINT'), 60_000);

  // Releases commits that waited for a member who has just left: only a reply of a standby wakes them.
  await server.session(async (session) => {
    await session.query('SET synchronous_commit = local');
    await session.query("SELECT pg_logical_emit_message(true, 'mainstay', 'sync set')");
  });
  if (!barrier || to.members.length < to.acknowledgements) return;
  await server.session(async (session) => {
    const end = await flushedLsn(session);
    await until(server, 2000, `${to.acknowledgements} of ${names.join(', ')} to hold ${formatLsn(end)}`, () =>
      enoughHold(session, to, end),
    );
  });
}

export async function until(
  server: ServerAccess,
  limitMs: number,
  what: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  const end = server.clock.now() + limitMs;
  while (!(await holds())) {
    if (server.clock.now() > end)
      throw new MainstayError('DatabaseUnreachable', `Waited ${limitMs} ms in vain for ${what}`, { retryable: true });
    await server.clock.sleep(10, server.signal);
  }
}

/** One slot per other instance that should exist; slots of others hold WAL back for nobody. */
export async function keepSlots(session: Session, instances: readonly string[], self: string): Promise<void> {
  const wanted = new Set(instances.filter((instance) => instance !== self).map(slotName));
  const rows = await session.query(
    "SELECT slot_name AS name, active, wal_status FROM pg_replication_slots WHERE slot_type = 'physical' AND slot_name LIKE 'mainstay\\_%'",
  );
  const present = new Set(rows.filter((row) => row['wal_status'] !== 'lost').map((row) => String(row['name'])));
  for (const row of rows) {
    const name = String(row['name']);
    if (row['active'] === true || (wanted.has(name) && present.has(name))) continue;
    await session.query('SELECT pg_drop_replication_slot($1)', [name]);
  }
  for (const name of wanted)
    if (!present.has(name)) await session.query('SELECT pg_create_physical_replication_slot($1, true)', [name]);
}

/**
 * A replica's slots for the others follow where their logs end, so that they find what they need here after a failover. Never
 * past the last checkpoint, from which one that must be rewound would go on; that far back WAL is kept anyway.
 */
export async function advanceSlots(session: Session, positions: ReadonlyMap<InstanceName, Position>): Promise<void> {
  await session.query(
    `SELECT pg_replication_slot_advance(slot_name, least(needed, redo_lsn))
       FROM unnest($1::text[], $2::pg_lsn[]) AS other(name, needed)
       JOIN pg_replication_slots ON slot_name = name, pg_control_checkpoint()
      WHERE NOT active AND restart_lsn < least(needed, redo_lsn)`,
    [[...positions.keys()].map(slotName), [...positions.values()].map(lsnOf)],
  );
}

/** Not on a primary, whatever was asked for: there it is the living one. */
export async function dropFormerSlot(session: Session, name: string): Promise<void> {
  await session.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
      WHERE slot_name = $1 AND slot_type = 'logical' AND failover AND NOT synced AND NOT active AND pg_is_in_recovery()`,
    [name],
  );
}
