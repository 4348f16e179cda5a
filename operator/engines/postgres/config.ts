/** The configuration files, kept outside the data directory so that neither pg_rewind nor a base backup touches them. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Definition, TlsRules } from '../../api/cluster-state.ts';
import { tlsFileNames } from '../../api/tls-files.ts';
import { knowsCiphers, type Certificates } from '../certificates.ts';
import { command } from '../command.ts';
import { replaceFile, syncDirectory } from '../files.ts';
import type { Layout } from './layout.ts';
import { fileName, rotationSize } from './server-log.ts';
import { missingLibrary } from './libraries.ts';
import { nobody, replicationRole, rewindRole } from './names.ts';
import { logDirectory } from './server-log.ts';
import { walLimits, walVolumeOf } from './wal-limits.ts';

/** What changes while the server runs. */
export interface Dynamic {
  readonly synchronousStandbyNames: string;
  /** Empty: follow nobody. */
  readonly primaryConninfo: string;
  readonly primarySlotName: string;
  /** Slots whose replicas must have a change before a logical subscriber gets it; empty: none. */
  readonly synchronizedStandbySlots: string;
  /** From the primary that it follows. */
  readonly copiesLogicalSlots: boolean;
  /** Clients write only if they ask for it: the disk is full. */
  readonly clientsReadOnly: boolean;
  /** Seconds that it stays behind on purpose. */
  readonly replayDelay: number;
}

/** How every server boots: it follows nobody, and acknowledges nothing should it become primary. */
export const bootSettings: Dynamic = {
  synchronousStandbyNames: `ANY 1 ("${nobody}")`,
  primaryConninfo: '',
  primarySlotName: '',
  synchronizedStandbySlots: '',
  copiesLogicalSlots: false,
  clientsReadOnly: false,
  replayDelay: 0,
};

export const configFile = (layout: Layout): string => join(layout.configuration, 'postgresql.conf');
/** The same settings for the next version, while it is being upgraded to. */
export const upgradeConfigFile = (layout: Layout): string => join(layout.configuration, 'upgrade.conf');
const dynamicFile = (layout: Layout): string => join(layout.configuration, 'dynamic.conf');
const gateFile = (layout: Layout): string => join(layout.configuration, 'gate.conf');

/** A value for postgresql.conf, where a backslash escapes too. */
const quote = (value: string): string =>
  `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`;

/** Settings of which a standby must have at least as much as its primary had, as pg_control remembers them. */
export const hotStandbySettings = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const;

/** pg_controldata's "max_connections setting:  200" → {max_connections: 200}. */
export function floorsFromControlData(text: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    hotStandbySettings.flatMap((name) => {
      // The control file abbreviates two of them.
      const label = name
        .replace('prepared_transactions', 'prepared_xacts')
        .replace('locks_per_transaction', 'locks_per_xact');
      const value = new RegExp(`^${label} setting:\\s+(\\d+)`, 'm').exec(text)?.[1];
      return value === undefined ? [] : [[name, Number(value)]];
    }),
  );
}

/**
 * Ours; what a user may set is checked by operator/api/parameters.ts. Later lines win over earlier ones. `floors` keep a
 * lowered setting from stopping a standby: it takes effect when this instance has been primary.
 */
export function postgresqlConf(
  definition: Definition,
  layout: Layout,
  floors: Readonly<Record<string, number>> = {},
  /** For parameters that the user leaves to us, by what this instance runs on. */
  measured: Readonly<Record<string, string>> = {},
): string {
  const users = Object.entries(userSettings(definition)).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  const defaults = defaultsFor(definition, measured);
  const locked: Record<string, string> = {
    listen_addresses: '*',
    port: '5432',
    unix_socket_directories: layout.run,
    hba_file: join(layout.configuration, 'pg_hba.conf'),
    ident_file: join(layout.configuration, 'pg_ident.conf'),
    hot_standby: 'on',
    fsync: 'on',
    full_page_writes: 'on',
    wal_log_hints: 'on',
    // The agent must see every crash (findings.md, F12).
    restart_after_crash: 'off',
    allow_alter_system: 'off',
    // To files in memory, which the agent reads: a server that wrote to the agent itself would wait for it.
    logging_collector: 'on',
    log_destination: 'jsonlog',
    log_directory: logDirectory(layout),
    log_filename: fileName,
    log_file_mode: '0600',
    log_rotation_size: rotationSize,
    log_rotation_age: '0',
    log_truncate_on_rotation: 'off',
    log_timezone: 'UTC',
    // The agent knows some messages by their words.
    lc_messages: 'C',
    wal_receiver_timeout: '3s',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '100ms',
    recovery_target_timeline: 'latest',
    restore_command: '',
    ...(definition.parameters['synchronous_commit'] === 'remote_apply' ? {} : { synchronous_commit: 'on' }),
  };
  const line = ([name, value]: readonly [string, string]): string => `${name} = ${quote(value)}`;
  const raised = Object.entries(heldBack(definition, floors));
  return [
    '# Written by Mainstay; changes here are overwritten. Set parameters in the custom resource.',
    ...Object.entries(defaults).map(line),
    ...users.map(line),
    ...raised.map(line),
    ...Object.entries(locked).map(line),
    "include_if_exists 'tls.conf'",
    "include 'dynamic.conf'",
    '',
  ].join('\n');
}

/** For parameters that the user leaves to us. */
function defaultsFor(definition: Definition, measured: Readonly<Record<string, string>> = {}): Record<string, string> {
  const segment = definition.bootstrap?.walSegmentMegabytes ?? 16;
  return {
    max_connections: '200',
    max_wal_senders: '20',
    max_replication_slots: '20',
    wal_level: 'replica',
    log_checkpoints: 'on',
    log_min_duration_statement: '-1',
    tcp_keepalives_idle: '5',
    tcp_keepalives_interval: '1',
    tcp_keepalives_count: '3',
    // A walsender whose replica lost power must not hold its slot and its row for minutes.
    wal_sender_timeout: '5s',
    tcp_user_timeout: '10s',
    ...measured,
    ...(isLogical(definition) ? { hot_standby_feedback: 'on' } : {}),
    // PostgreSQL refuses to start with room for fewer than two segments.
    ...(segment > 16 && {
      min_wal_size: `${Math.max(80, 2 * segment)}MB`,
      max_wal_size: `${Math.max(4 * segment, parseInt(measured['max_wal_size'] ?? '1024', 10))}MB`,
    }),
    ...definition.defaults,
  };
}

/** Those that Mainstay has a default for, and people like to know. */
export const effectiveParameters = [
  'max_connections',
  'shared_buffers',
  'effective_cache_size',
  'work_mem',
  'maintenance_work_mem',
  'max_worker_processes',
  'max_parallel_workers',
  'max_parallel_workers_per_gather',
  'max_parallel_maintenance_workers',
  'max_wal_size',
  'wal_keep_size',
  'max_slot_wal_keep_size',
  'shared_preload_libraries',
] as const;

/** What stays above what is asked for, because a standby with less than its primary had would not start. */
export function heldBack(
  definition: Definition,
  floors: Readonly<Record<string, number>>,
): Readonly<Record<string, string>> {
  const wanted = { ...bootValues, ...defaultsFor(definition), ...definition.parameters };
  return Object.fromEntries(
    Object.entries(floors).flatMap(([name, floor]) =>
      Number(wanted[name] ?? floor) < floor ? [[name, String(floor)]] : [],
    ),
  );
}

/** PostgreSQL's own, for those that nobody sets. */
const bootValues: Readonly<Record<string, string>> = {
  max_worker_processes: '8',
  max_prepared_transactions: '0',
  max_locks_per_transaction: '64',
};

/** The user's parameters, the libraries among them. */
function userSettings({ parameters, postgres }: Definition): Readonly<Record<string, string>> {
  const listed = postgres?.libraries ?? [];
  if (listed.length === 0) return parameters;
  const others = (parameters['shared_preload_libraries'] ?? '').split(',').map((library) => library.trim());
  const all = [...new Set([...others, ...listed])].filter((library) => library !== '');
  return { ...parameters, shared_preload_libraries: all.join(',') };
}

/** Replicas then keep copies of the primary's failover slots, for which their snapshots must be known to it. */
export const isLogical = ({ parameters }: Definition): boolean => parameters['wal_level'] === 'logical';

/** The first rule that fits decides: what comes before the user's rules can't be undone by them. */
export function pgHba(tls: TlsRules | undefined, users: readonly string[] = []): string {
  const agents = [
    ['replication', replicationRole],
    ['postgres', replicationRole], // to copy the logical slots
    ['all', rewindRole],
  ] as const;
  return [
    '# The agent first, and what replicas need; then the gate, closed while this instance is becoming primary; then clients.',
    'local all postgres peer',
    ...agents.map(([database, role]) =>
      tls?.certificatesOnly
        ? `hostssl ${database} ${role} all cert map=${agentMap}`
        : `host ${database} ${role} all scram-sha-256`,
    ),
    `host all,replication ${replicationRole},${rewindRole} all reject`,
    'include_if_exists gate.conf',
    'host all,replication postgres all reject',
    ...(tls?.required ? ['hostnossl all,replication all all reject'] : []),
    ...users,
    'local all all scram-sha-256',
    'host all all all scram-sha-256',
    '',
  ].join('\n');
}

const agentMap = 'mainstay';

/** Who shows the agents' certificate is let in as either of their roles. */
export function pgIdent(certificates: Certificates | undefined, users: readonly string[] = []): string {
  const agents = certificates === undefined ? [] : [replicationRole, rewindRole];
  return [...agents.map((role) => `${agentMap} "${certificates?.agent.name ?? ''}" ${role}`), ...users, ''].join('\n');
}

/** PostgreSQL reads all of it again at a reload, `ssl` itself included. */
export function tlsConf(tls: TlsRules | undefined, certificates: Certificates | undefined): string {
  if (certificates === undefined) return 'ssl = off\n';
  const file = (name: keyof typeof tlsFileNames): string => quote(join(certificates.directory, tlsFileNames[name]));
  return [
    'ssl = on',
    `ssl_cert_file = ${file('serverCertificate')}`,
    `ssl_key_file = ${file('serverKey')}`,
    `ssl_ca_file = ${file('clientAuthorities')}`,
    `ssl_min_protocol_version = ${quote(tls?.minVersion ?? 'TLSv1.2')}`,
    ...(tls?.ciphers === undefined || !knowsCiphers(tls.ciphers) ? [] : [`ssl_ciphers = ${quote(tls.ciphers)}`]),
    '',
  ].join('\n');
}

/** What the files are made from. */
export interface Configuration {
  readonly definition: Definition;
  readonly floors: Readonly<Record<string, number>>;
  readonly certificates: Certificates | undefined;
}

/** Writes the configuration, if PostgreSQL takes it; else nothing changes, and why is returned. */
export async function writeConfiguration(
  { definition, floors, certificates }: Configuration,
  layout: Layout,
  signal: AbortSignal,
): Promise<string | undefined> {
  const missing = await missingLibrary(userSettings(definition), layout);
  if (missing !== undefined) return missing;
  const measured = walLimits(await walVolumeOf(layout));
  await replaceFile(join(layout.configuration, 'tls.conf'), tlsConf(definition.tls, certificates));
  const candidate = `${configFile(layout)}.candidate`;
  await replaceFile(candidate, postgresqlConf(definition, layout, floors, measured));
  try {
    await command(join(layout.bin, 'postgres'), ['-D', layout.data, '-c', `config_file=${candidate}`, '-C', 'port'], {
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    return complaintIn(error);
  }
  await replaceFile(join(layout.configuration, 'pg_hba.conf'), pgHba(definition.tls, definition.postgres?.hba));
  await replaceFile(join(layout.configuration, 'pg_ident.conf'), pgIdent(certificates, definition.postgres?.ident));
  await rename(candidate, configFile(layout));
  await syncDirectory(layout.configuration);
  return undefined;
}

/** "…/postgres ended with 1: 2026-… LOG:  invalid value for parameter …" → "invalid value for parameter …" */
function complaintIn(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = [...text.matchAll(/(?:LOG|ERROR|FATAL|DETAIL|HINT): {2}(.*)/g)].map(([, line]) => line ?? '');
  return lines.length === 0 ? text : lines.filter((line) => !line.startsWith('configuration file')).join(' ');
}

/** Why the version of `next` would not start with these settings on `data`; undefined if it would. Leaves them in `upgradeConfigFile`. */
export async function unacceptable(
  definition: Definition,
  next: Layout,
  data: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const missing = await missingLibrary(userSettings(definition), next);
  if (missing !== undefined) return missing;
  const file = upgradeConfigFile(next);
  await replaceFile(file, postgresqlConf(definition, next));
  return command(join(next.bin, 'postgres'), ['-D', data, '-c', `config_file=${file}`, '-C', 'port'], { signal }).then(
    () => undefined,
    (error: unknown) => {
      signal.throwIfAborted();
      return error instanceof Error ? error.message : String(error);
    },
  );
}

export async function writeDynamic(layout: Layout, dynamic: Dynamic): Promise<void> {
  await replaceFile(
    dynamicFile(layout),
    [
      `synchronous_standby_names = ${quote(dynamic.synchronousStandbyNames)}`,
      `primary_conninfo = ${quote(dynamic.primaryConninfo)}`,
      `primary_slot_name = ${quote(dynamic.primarySlotName)}`,
      `recovery_min_apply_delay = '${dynamic.replayDelay}s'`,
      // Else its old snapshots would keep the primary from cleaning up.
      ...(dynamic.replayDelay > 0 ? ['hot_standby_feedback = off'] : []),
      // Where there is nobody to copy from, its worker would complain without end.
      `sync_replication_slots = ${dynamic.copiesLogicalSlots ? 'on' : 'off'}`,
      `synchronized_standby_slots = ${quote(dynamic.synchronizedStandbySlots)}`,
      ...(dynamic.clientsReadOnly ? ['default_transaction_read_only = on'] : []),
      '',
    ].join('\n'),
  );
}

/** While closed, only the agent and replicas get in, whose rules come first. */
export async function writeGate(layout: Layout, gate: 'open' | 'closed'): Promise<void> {
  await replaceFile(
    gateFile(layout),
    gate === 'open' ? '' : 'local all,replication all reject\nhost all,replication all all reject\n',
  );
}
