/**
 * Group Replication on one server: it is told to join, to bootstrap, to leave and to hand over; who is primary is the group's.
 * Members talk over the server's own port (communication stack MYSQL): the same certificates, accounts and network policy hold.
 */
import { formatGtidSet } from '../../ha/gtid-set.ts';
import { memberStates, type MemberState, type Sight } from '../../ha/group/sight.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { heldBy, isApplied } from './log-end.ts';
import { groupAccount, groupName, numberOfGroup } from './names.ts';
import { literal, textOf, type Session } from './sql.ts';
import type { LinkTls } from './tls.ts';

/** What stands in the option file of a member, all of which the agent relies on. */
export function groupSettings(mode: 'SinglePrimary' | 'MultiPrimary'): Readonly<Record<string, string>> {
  const multi = mode === 'MultiPrimary';
  return Object.fromEntries(
    Object.entries({
      communication_stack: 'MYSQL',
      // The agent forms the group, by etcd's word alone.
      start_on_boot: 'OFF',
      bootstrap_group: 'OFF',
      autorejoin_tries: '0',
      single_primary_mode: multi ? 'OFF' : 'ON',
      enforce_update_everywhere_checks: multi ? 'ON' : 'OFF',
      // A member without a majority fails what it was asked to commit, and throws its clients out.
      unreachable_majority_timeout: '10',
      exit_state_action: 'OFFLINE_MODE',
      recovery_get_public_key: 'ON',
      recovery_use_ssl: 'ON',
    }).map(([name, value]) => [`loose_group_replication_${name}`, value]),
  );
}

/** Overridable by the user. */
export const groupDefaults: Readonly<Record<string, string>> = {
  // MySQL's own, 1 GiB, is more than most Pods have.
  group_replication_message_cache_size: '134217728',
  // Silence is noticed after five seconds; to wait on only makes the outage longer, since a member that was there rejoins by itself.
  group_replication_member_expel_timeout: '0',
};

export interface Joining {
  readonly systemIdentifier: string;
  readonly number: number;
  /** Of this server, as others reach it: host and port. */
  readonly address: string;
  readonly seeds: readonly string[];
  readonly weight: number;
  readonly password: string;
  readonly tls: LinkTls;
}

export async function lookAtGroup(session: Session, open: boolean): Promise<Sight> {
  const [own] = await session.query(
    `SELECT @@server_uuid AS uuid, @@global.super_read_only AS read_only, @@global.group_replication_group_name AS name`,
  );
  const rows = await session.query(
    'SELECT member_id AS id, member_state AS state, member_role AS role FROM performance_schema.replication_group_members',
  );
  const [stats] = await session.query(
    'SELECT view_id AS view FROM performance_schema.replication_group_member_stats WHERE member_id = @@server_uuid',
  );
  const uuid = textOf(own, 'uuid');
  const mine = rows.find((row) => textOf(row, 'id') === uuid);
  const held = await heldBy(session);
  return {
    state: stateOf(textOf(mine, 'state')),
    number: numberOfGroup(textOf(own, 'name')),
    view: Number(/:(\d+)$/.exec(textOf(stats, 'view'))?.[1] ?? 0),
    members: rows
      .filter((row) => textOf(row, 'id') !== '')
      .map((row) => ({
        incarnation: textOf(row, 'id').slice(0, 8),
        state: stateOf(textOf(row, 'state')),
        primary: textOf(row, 'role') === 'PRIMARY',
      })),
    writable: textOf(own, 'read_only') === '0',
    open,
    gtids: formatGtidSet(held.all),
    applied: isApplied(held),
  };
}

const stateOf = (text: string): MemberState => memberStates.find((state) => state === text) ?? 'OFFLINE';

/** As a new member, or with `bootstrap` as the first of a group: the caller must be the only one who does that, and do it once. */
export async function joinGroup(session: Session, joining: Joining, bootstrap: boolean): Promise<void> {
  const { systemIdentifier, number, address, seeds, weight, password, tls } = joining;
  const settings: Readonly<Record<string, string>> = {
    group_replication_group_name: groupName(systemIdentifier, number),
    group_replication_local_address: address,
    group_replication_advertise_recovery_endpoints: address,
    group_replication_group_seeds: seeds.join(','),
    group_replication_ssl_mode: tls.authorities === '' ? 'REQUIRED' : 'VERIFY_CA',
    group_replication_recovery_ssl_ca: tls.authorities,
    group_replication_recovery_ssl_cert: tls.certificate,
    group_replication_recovery_ssl_key: tls.key,
  };
  for (const [name, value] of Object.entries(settings)) await session.query(`SET GLOBAL ${name} = ${literal(value)}`);
  await session.query(`SET GLOBAL group_replication_member_weight = ${weight}`);
  // Left on by a member that had lost its majority; the gate keeps clients out until it is one again.
  await session.query('SET GLOBAL offline_mode = OFF');
  await session.query(`SET GLOBAL group_replication_bootstrap_group = ${bootstrap ? 'ON' : 'OFF'}`);
  try {
    await session.query(`START GROUP_REPLICATION USER = ${literal(groupAccount)}, PASSWORD = ${literal(password)}`);
  } finally {
    if (bootstrap) await session.query('SET GLOBAL group_replication_bootstrap_group = OFF');
  }
}

const drainPeriod = 50;

/** Out of the group, and read-only. */
export async function leaveGroup(session: Session): Promise<void> {
  await session.query('STOP GROUP_REPLICATION');
  await session.query('SET GLOBAL super_read_only = ON');
}

/** Of a server that is out: all that it had received from the group is applied, so that its set of GTIDs is final. */
export async function applyReceived(session: Session, clock: Clock, signal: AbortSignal): Promise<void> {
  let applying = false;
  for (;;) {
    if (isApplied(await heldBy(session))) break;
    if (!applying) await session.query("START REPLICA SQL_THREAD FOR CHANNEL 'group_replication_applier'");
    applying = true;
    const [row] = await session.query(
      "SELECT last_error_message AS error FROM performance_schema.replication_applier_status_by_coordinator WHERE channel_name = 'group_replication_applier'",
    );
    if (textOf(row, 'error') !== '')
      throw new MainstayError('DatabaseUnreachable', `What the group sent can’t be applied: ${textOf(row, 'error')}`);
    await clock.sleep(drainPeriod, signal);
  }
  if (applying) await session.query("STOP REPLICA SQL_THREAD FOR CHANNEL 'group_replication_applier'");
}

/** Resolves when the other is primary. */
export async function handOver(session: Session, incarnation: string): Promise<void> {
  const rows = await session.query(
    `SELECT member_id AS id FROM performance_schema.replication_group_members WHERE member_state = 'ONLINE'`,
  );
  const id = rows.map((row) => textOf(row, 'id')).find((uuid) => uuid.startsWith(`${incarnation.slice(0, 8)}-`));
  if (id === undefined)
    throw new MainstayError('DatabaseUnreachable', 'The candidate is no member of the group', { retryable: true });
  await session.query(`SELECT group_replication_set_as_primary(${literal(id)})`);
}
