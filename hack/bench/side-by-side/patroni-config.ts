/** Patroni's configuration: its defaults or its fastest settings, and the parameters that Mainstay's own servers run with. */
import { stringify } from 'yaml';

export interface PatroniSettings {
  readonly name: string;
  readonly ttl: number;
  readonly loopWait: number;
  readonly retryTimeout: number;
}

/** Both as its documentation has them: what it comes with, and the least that it accepts with room for a slow request. */
export const patroniSettings: readonly PatroniSettings[] = [
  { name: 'ttl 20, loop 1, retry 3', ttl: 20, loopWait: 1, retryTimeout: 3 },
  { name: 'defaults: ttl 30, loop 10, retry 10', ttl: 30, loopWait: 10, retryTimeout: 10 },
];

export interface PatroniNode {
  readonly name: string;
  readonly address: string;
}

export const passwords = { superuser: 'superuser', replication: 'replication', rewind: 'rewind' } as const;

/** Where things are in the container. */
export const patroniPlaces = {
  configuration: '/var/lib/mainstay/patroni.yml',
  data: '/var/lib/mainstay/pgdata',
  programs: '/usr/lib/postgresql/18/bin',
  socket: '/run/mainstay',
} as const;

export function patroniConfig(
  { name, address }: PatroniNode,
  { ttl, loopWait, retryTimeout }: PatroniSettings,
  etcd: readonly string[],
  parameters: Readonly<Record<string, string>>,
): string {
  return stringify({
    scope: 'orders',
    name,
    restapi: { listen: '0.0.0.0:8008', connect_address: `${address}:8008` },
    etcd3: { hosts: etcd },
    bootstrap: {
      dcs: {
        ttl,
        loop_wait: loopWait,
        retry_timeout: retryTimeout,
        synchronous_mode: true,
        // As Debian's configuration has it.
        postgresql: {
          use_pg_rewind: true,
          remove_data_directory_on_rewind_failure: true,
          remove_data_directory_on_diverged_timelines: true,
          use_slots: true,
          parameters,
        },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, 'data-checksums'],
    },
    postgresql: {
      listen: `${address}:5432`,
      // As Debian's configuration has it. Nor does the root know of a localhost.
      use_unix_socket: true,
      connect_address: `${address}:5432`,
      data_dir: patroniPlaces.data,
      bin_dir: patroniPlaces.programs,
      // As Mainstay copies: a checkpoint that takes its time would hold a new replica up for minutes.
      basebackup: [{ checkpoint: 'fast' }],
      pgpass: '/var/lib/mainstay/pgpass',
      authentication: {
        superuser: { username: 'postgres', password: passwords.superuser },
        replication: { username: 'replication', password: passwords.replication },
        rewind: { username: 'rewind', password: passwords.rewind },
      },
      parameters: { unix_socket_directories: patroniPlaces.socket },
      pg_hba: [
        'local all all trust',
        'host replication replication all scram-sha-256',
        'host all all all scram-sha-256',
      ],
    },
  });
}

/** What each system arranges for itself: where things are, how the agent hears of the server, how it follows. */
const notShared: readonly RegExp[] = [
  /^(listen_addresses|port|unix_socket_directories|hba_file|ident_file|hot_standby|allow_alter_system)$/,
  /^(restart_after_crash|restore_command|recovery_target_timeline|synchronous_standby_names|primary_.*)$/,
  /^(logging_collector|log_destination|log_directory|log_filename|log_file_mode|log_rotation_.*|log_truncate_.*)$/,
];

/** The parameters in a postgresql.conf as Mainstay writes it, as far as they are the database's own. */
export function sharedParameters(configuration: string): Readonly<Record<string, string>> {
  const all = configuration.split('\n').flatMap((line): [string, string][] => {
    const [, name, value] = /^(\w+) = '(.*)'$/.exec(line) ?? [];
    // As the file has it, where a quote is doubled and a backslash too.
    return name === undefined || value === undefined
      ? []
      : [[name, value.replaceAll("''", "'").replaceAll('\\\\', '\\')]];
  });
  return Object.fromEntries(all.filter(([name]) => !notShared.some((pattern) => pattern.test(name))));
}
