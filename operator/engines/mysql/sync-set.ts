/** The primary's side: whose acknowledgements count, how many are waited for, and how both are changed and proved. */
import type { InstanceName, Voter } from '../../api/cluster-state.ts';
import type { ReplicaHealth, SyncSet } from '../../ha/sync-set.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { ServerAccess } from './access.ts';
import { voterOf } from './names.ts';
import { silentPeers } from './peers.ts';
import { textOf, type Session } from './sql.ts';

/** Milliseconds for a replica to connect anew, with another account, before it counts as gone. */
const reconnects = 1000;
/** For logins that began before the gate was shut. */
const loginsUnderWay = 100;
const barrierLimit = 2000;
const nudgePeriod = 250;

interface Receiver {
  readonly id: number;
  readonly account: string;
  /** "address:port" of its end. */
  readonly peer: string;
  /** Unknown while it is still logging in. */
  readonly serverUuid: string | undefined;
  readonly dumps: boolean;
}

async function receivers(session: Session): Promise<readonly Receiver[]> {
  const rows = await session.query(
    `SELECT t.processlist_id AS id, t.processlist_user AS account, p.host AS peer, t.processlist_command AS command,
            (SELECT CONVERT(v.variable_value USING utf8mb4) FROM performance_schema.user_variables_by_thread v
              WHERE v.thread_id = t.thread_id AND v.variable_name = 'replica_uuid') AS uuid
       FROM performance_schema.threads t LEFT JOIN performance_schema.processlist p ON p.id = t.processlist_id
      WHERE t.processlist_user LIKE 'mainstay\\\\_%sync\\\\_%'`,
  );
  return rows.map((row) => ({
    id: Number(row['id']),
    account: String(row['account']),
    peer: textOf(row, 'peer'),
    serverUuid: typeof row['uuid'] === 'string' ? row['uuid'] : undefined,
    dumps: String(row['command']).startsWith('Binlog Dump'),
  }));
}

/** The replicas as the primary sees them, call by call. */
export function replicaWatch(
  clock: Clock,
): (session: Session, instances: readonly InstanceName[]) => Promise<readonly ReplicaHealth[]> {
  let seen = new Map<string, { readonly voter: Voter; readonly at: number }>();
  return async (session, instances) => {
    const [rows, silent] = await Promise.all([receivers(session), silentPeers()]);
    const now = clock.now();
    const living = new Map<string, { readonly voter: Voter; readonly at: number }>();
    const mute = new Set<string>();
    for (const { account, serverUuid, dumps, peer } of rows) {
      const voter = dumps && serverUuid !== undefined ? voterOf(account, serverUuid, instances) : undefined;
      if (!voter) continue;
      const key = `${voter.instance}:${voter.incarnation}`;
      if (silent.has(peer)) mute.add(key);
      else living.set(key, { voter, at: now });
    }
    const lately = [...seen].filter(([key, { at }]) => !mute.has(key) && now - at < reconnects);
    seen = new Map([...lately, ...living]);
    return [...seen.values()].map(({ voter }) => ({ voter, streaming: true }));
  };
}

/** What is in force. */
export async function semiSync(session: Session): Promise<SemiSync> {
  const rows = await session.query(
    `SELECT variable_name AS name, variable_value AS value FROM performance_schema.global_status
      WHERE variable_name LIKE 'Rpl\\\\_semi\\\\_sync\\\\_source\\\\_%'`,
  );
  const value = (name: string): string =>
    textOf(
      rows.find((row) => textOf(row, 'name').toLowerCase() === `rpl_semi_sync_source_${name}`),
      'value',
    );
  return {
    on: value('status') === 'ON',
    clients: Number(value('clients')),
    waiting: Number(value('wait_sessions')),
    acknowledged: Number(value('yes_tx')),
  };
}

export interface SemiSync {
  readonly on: boolean;
  /** Connections that acknowledge. */
  readonly clients: number;
  /** Sessions that wait for acknowledgements. */
  readonly waiting: number;
  /** Commits that have been. */
  readonly acknowledged: number;
}

/** How the primary brings about what a sync set says. */
export interface Primary extends ServerAccess {
  /** Lets in who is a member, and read back. */
  admit(members: readonly Voter[]): Promise<void>;
  /** An empty transaction; resolves when enough have acknowledged it, and with it all before. */
  beat(limitMs: number): Promise<void>;
}

export async function waitFor(session: Session, acknowledgements: number): Promise<void> {
  if (acknowledgements > 0)
    await session.query(`SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = ${acknowledgements}`);
  // Off releases who waits: only where etcd asks for no acknowledgement any more.
  await session.query(`SET GLOBAL rpl_semi_sync_source_enabled = ${acknowledgements > 0 ? 'ON' : 'OFF'}`);
  const [row] = await session.query(
    `SELECT @@global.rpl_semi_sync_source_enabled AS enabled, @@global.rpl_semi_sync_source_wait_for_replica_count AS count,
            @@global.rpl_semi_sync_source_wait_point AS point, @@global.rpl_semi_sync_source_wait_no_replica AS always,
            @@global.rpl_semi_sync_source_timeout AS timeout`,
  );
  const holds =
    acknowledgements === 0
      ? Number(row?.['enabled']) === 0
      : Number(row?.['enabled']) === 1 &&
        Number(row?.['count']) === acknowledgements &&
        row?.['point'] === 'AFTER_SYNC' &&
        Number(row['always']) === 1 &&
        Number(row['timeout']) >= 1e12;
  if (!holds)
    throw new MainstayError(
      'DatabaseUnreachable',
      `Semi-synchronous replication is not as it must be: ${JSON.stringify(row)}`,
      {
        retryable: true,
      },
    );
}

/**
 * Brings the database to `to` and proves it: nobody else can acknowledge any more, and enough members hold all that is in the
 * primary's log, what waits to be acknowledged included (mysql-lab.md §1).
 */
export async function applySyncSet(
  primary: Primary,
  to: SyncSet,
  instances: readonly InstanceName[],
  barrier: boolean,
): Promise<void> {
  await primary.admit(to.members);
  await primary.control((session) => waitFor(session, to.acknowledgements));
  const shutOut = (): Promise<boolean> => shutOutStrangers(primary, to, instances);
  const wereThere = await shutOut();
  const proves = barrier && to.acknowledgements > 0 && to.members.length >= to.acknowledgements;
  if (proves) await beatUntilAcknowledged(primary);
  // One that was still logging in before; its acknowledgement may have been in the barrier.
  if ((wereThere || proves) && (await shutOut())) {
    if (proves) await beatUntilAcknowledged(primary);
    if (await shutOut())
      throw new MainstayError('DatabaseUnreachable', 'Somebody who does not count keeps connecting', {
        retryable: true,
      });
  }
}

/**
 * A member that has a transaction already when it connects to acknowledge never does (mysql-lab.md §2): what comes after it is
 * as good, since acknowledgements are positions.
 */
async function beatUntilAcknowledged(primary: Primary): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([primary.signal, over.signal]);
  const nudge = async (): Promise<void> => {
    for (;;) {
      await primary.clock.sleep(nudgePeriod, signal);
      primary.beat(barrierLimit).catch(() => undefined);
    }
  };
  nudge().catch(() => undefined);
  await primary.beat(barrierLimit).finally(() => over.abort(new Error('over')));
}

/** Ends every session that could acknowledge and must not; true if there were any. Resolves when the last one is gone. */
async function shutOutStrangers(primary: Primary, to: SyncSet, instances: readonly InstanceName[]): Promise<boolean> {
  const isMember = ({ account, serverUuid }: Receiver): boolean =>
    to.members.some(({ instance, incarnation }) => {
      const voter = voterOf(account, serverUuid ?? incarnation, [...instances, instance]);
      return voter?.instance === instance && voter.incarnation === incarnation;
    });
  const strangers = async (): Promise<readonly Receiver[]> =>
    primary.control(async (session) =>
      (await receivers(session)).filter((one) => one.account.startsWith('mainstay_sync_') && !isMember(one)),
    );
  const begun = primary.clock.now();
  const early = await unnamed(primary);
  let any = false;
  for (;;) {
    const [left, unnamedNow] = [await strangers(), await unnamed(primary)];
    const stillEarly = unnamedNow.filter((id) => early.includes(id));
    if (left.length === 0 && stillEarly.length === 0) return any;
    any ||= left.length > 0;
    const doomed = [...left.map(({ id }) => id), ...(primary.clock.now() - begun > loginsUnderWay ? stillEarly : [])];
    await primary.control(async (session) => {
      for (const id of doomed) await session.query(`KILL ${id}`).catch(() => undefined); // gone already
    });
    // The thread that counts acknowledgements lets go of a connection when it next wakes (mysql-lab.md §1).
    if (left.length > 0) void primary.beat(barrierLimit).catch(() => undefined);
    await primary.clock.sleep(5, primary.signal);
  }
}

/** Sessions that are logging in: they have no name yet. */
async function unnamed(primary: Primary): Promise<readonly number[]> {
  return primary.control(async (session) => {
    const rows = await session.query(
      `SELECT processlist_id AS id FROM performance_schema.threads
        WHERE type = 'FOREGROUND' AND processlist_id IS NOT NULL AND processlist_command = 'Connect' AND processlist_user IS NULL`,
    );
    return rows.map((row) => Number(row['id']));
  });
}
