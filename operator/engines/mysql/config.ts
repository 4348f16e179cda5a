/** The option file, kept outside the data directory so that no clone touches it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Definition } from '../../api/cluster-state.ts';
import { replaceFile } from '../files.ts';
import { initConnect, shut } from './gate.ts';
import { groupDefaults, groupSettings } from './group.ts';
import { configFile, socket, type Layout } from './layout.ts';

/** Milliseconds: never falls back to asynchronous by itself. */
const neverFallBack = '1000000000000';

/** Overridable by the user. */
const defaults: Readonly<Record<string, string>> = {
  max_connections: '200',
  // Smaller pieces: recovery reads the last one.
  max_binlog_size: '268435456',
  binlog_expire_logs_seconds: '259200',
  replica_parallel_workers: '4',
  innodb_buffer_pool_size: '134217728',
};

/** What the promise of no lost write rests on; a user's attempt to loosen it is refused when the cluster is defined. */
export function lockedSettings(layout: Layout, ordinal: number): Readonly<Record<string, string>> {
  return {
    datadir: layout.data,
    socket: socket(layout),
    pid_file: join(layout.run, 'mysqld.pid'),
    port: '3306',
    bind_address: '*',
    mysqlx: 'OFF',
    skip_name_resolve: 'ON',
    secure_file_priv: 'NULL',
    server_id: String(ordinal),
    gtid_mode: 'ON',
    enforce_gtid_consistency: 'ON',
    log_bin: 'binlog',
    relay_log: 'relay',
    log_replica_updates: 'ON',
    // By age alone; the agent knows who needs what (retention.ts).
    binlog_expire_logs_auto_purge: 'OFF',
    sync_binlog: '1',
    innodb_flush_log_at_trx_commit: '1',
    innodb_doublewrite: 'ON',
    // An acknowledgement must mean "on disk": once per event.
    sync_relay_log: '1',
    // ON would throw away what has been acknowledged and not applied yet.
    relay_log_recovery: 'OFF',
    replica_preserve_commit_order: 'ON',
    // How every server boots; roles are granted while it runs.
    read_only: 'ON',
    super_read_only: 'ON',
    skip_replica_start: 'ON',
    // A role that was persisted would outlive the lease.
    persisted_globals_load: 'OFF',
    init_connect: initConnect(shut),
    // The agent reads the slow log from files; statements in it go without their passwords.
    log_output: 'FILE',
    log_raw: 'OFF',
    replica_net_timeout: '10',
    // A cut of the log's tail is undone by InnoDB alone.
    disabled_storage_engines: 'MyISAM,MRG_MYISAM,ARCHIVE,BLACKHOLE,FEDERATED,CSV',
    // Unknown to `--initialize`, which loads no plugins.
    loose_rpl_semi_sync_source_enabled: 'OFF',
    loose_rpl_semi_sync_source_timeout: neverFallBack,
    loose_rpl_semi_sync_source_wait_point: 'AFTER_SYNC',
    loose_rpl_semi_sync_source_wait_no_replica: 'ON',
    loose_rpl_semi_sync_source_wait_for_replica_count: '1',
    loose_rpl_semi_sync_replica_enabled: 'OFF',
  };
}

/** Loaded at each start rather than installed: a clone would bring the other's, and needs no write. */
const plugins = ['semisync_source.so', 'semisync_replica.so', 'mysql_clone.so', 'auth_socket.so'];
const groupPlugin = 'group_replication.so';

/** Options may be written with dashes, in either case, and as `loose_`; all mean the same. */
export const optionName = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll('-', '_')
    .replace(/^loose_/, '');

/** Of ours without being set: the log goes to standard error only where nothing is said. */
const unset = ['log_error'];

/** The user's. */
function userSettings({ parameters, defaults: given }: Definition): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries({ ...given, ...parameters })
      .map(([name, value]) => [optionName(name), value] as const)
      .filter(([name]) => !unset.includes(name)),
  );
}

/** What isn't ours: the user's, and our defaults where there is nothing of the user's. */
export const settingsOf = (definition: Definition): Readonly<Record<string, string>> => ({
  ...defaults,
  ...(definition.group && groupDefaults),
  ...userSettings(definition),
});

/** `tls`: the server's variables of it (tls.ts). */
export function myCnf(
  definition: Definition,
  layout: Layout,
  ordinal: number,
  tls: Readonly<Record<string, string>>,
): string {
  const { init_connect: own, ...users } = settingsOf(definition);
  const { group } = definition;
  const locked = lockedSettings(layout, ordinal);
  const lines = (settings: Readonly<Record<string, string>>): readonly string[] =>
    // Unknown to `--initialize`, which loads no plugins.
    Object.entries(settings).map(
      ([name, value]) => `${name.startsWith('group_replication_') ? 'loose_' : ''}${name}=${quote(value)}`,
    );
  return [
    '# Written by Mainstay: changes are lost.',
    '[mysqld]',
    ...lines(users),
    ...[...plugins, ...(group ? [groupPlugin] : [])].map((plugin) => `plugin_load_add=${plugin}`),
    ...lines({ ...locked, ...(group && groupSettings(group.mode)), ...tls, init_connect: initConnect(shut, own) }),
    '',
  ].join('\n');
}

/** Numbers and words as they are: an option file takes quotes for strings only. */
const quote = (value: string): string =>
  /^[\w.,*/+-]*$/.test(value)
    ? value
    : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

export async function writeConfiguration(...what: Parameters<typeof myCnf>): Promise<void> {
  const [, layout] = what;
  await mkdir(layout.configuration, { recursive: true });
  await replaceFile(configFile(layout), myCnf(...what));
}
