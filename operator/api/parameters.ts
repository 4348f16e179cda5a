/** PostgreSQL parameters that users can't set, or not to every value, each with its reason. */
import { rulesOf, type LockedParameters, type RestrictedParameter } from './parameter-rules.ts';

export type { Parameters } from './parameter-rules.ts';

/** Parameters that Mainstay sets itself, or that would break its promises whatever their value. */
export const lockedParameters: readonly LockedParameters[] = [
  {
    names: ['synchronous_standby_names'],
    reason: 'the agent keeps it equal to the sync set in etcd; use spec.durability',
  },
  {
    names: [
      'primary_conninfo',
      'primary_slot_name',
      'wal_receiver_create_temp_slot',
      'hot_standby',
      'recovery_min_apply_delay',
    ],
    reason: 'the agent decides whom an instance follows, and a replica must be ready to take over at once',
  },
  {
    names: [
      'restore_command',
      'recovery_end_command',
      'archive_cleanup_command',
      'recovery_target',
      'recovery_target_action',
      'recovery_target_inclusive',
      'recovery_target_lsn',
      'recovery_target_name',
      'recovery_target_time',
      'recovery_target_timeline',
      'recovery_target_xid',
    ],
    reason: 'a replica must follow its primary to the end of its log; restores will have a resource of their own',
  },
  {
    names: ['archive_mode', 'archive_command', 'archive_library'],
    reason: 'archiving belongs to backups, which Mainstay will configure itself',
  },
  {
    names: [
      'fsync',
      'full_page_writes',
      'data_sync_retry',
      'zero_damaged_pages',
      'ignore_checksum_failure',
      'ignore_invalid_pages',
      'ignore_system_indexes',
    ],
    reason: 'any other value than the default can lose or corrupt acknowledged writes',
  },
  {
    names: ['sync_replication_slots', 'synchronized_standby_slots'],
    reason: 'the agent keeps logical slots on replicas where wal_level is logical',
  },
  {
    names: ['shared_preload_libraries'],
    reason: 'list libraries in spec.postgresql.sharedPreloadLibraries',
  },
  {
    names: ['wal_log_hints'],
    reason: 'without it a former primary could not be rewound',
  },
  {
    names: ['default_transaction_read_only', 'exit_on_error', 'session_replication_role'],
    reason: 'it would hit every session, the agent’s too; set it for a role or database with ALTER ROLE … SET',
  },
  {
    names: ['restart_after_crash'],
    reason: 'after a crash the agent decides whether to restart or to fail over',
  },
  {
    names: [
      'wal_receiver_timeout',
      'wal_receiver_status_interval',
      'wal_sender_timeout',
      'wal_retrieve_retry_interval',
    ],
    reason: 'the time of a failover depends on it',
  },
  {
    names: ['listen_addresses', 'port', 'unix_socket_directories', 'unix_socket_group', 'unix_socket_permissions'],
    reason: 'Services, probes and agents rely on its value',
  },
  {
    names: [
      'config_file',
      'data_directory',
      'hba_file',
      'ident_file',
      'external_pid_file',
      'include',
      'include_dir',
      'include_if_exists',
      'allow_alter_system',
    ],
    reason: 'the agent writes the configuration files; spec.postgresql.parameters is the only source of settings',
  },
  {
    names: ['cluster_name', 'password_encryption'],
    reason: 'the agent sets it: the instance name, SCRAM passwords',
  },
  {
    names: [
      'logging_collector',
      'log_destination',
      'log_directory',
      'log_filename',
      'log_file_mode',
      'log_rotation_age',
      'log_rotation_size',
      'log_truncate_on_rotation',
      'log_line_prefix',
      'log_timezone',
      'lc_messages',
    ],
    reason: 'the agent reads PostgreSQL’s log and merges it into the Pod’s; what is logged is yours to choose',
  },
  {
    names: [
      'ssl',
      'ssl_ca_file',
      'ssl_cert_file',
      'ssl_ciphers',
      'ssl_crl_dir',
      'ssl_crl_file',
      'ssl_dh_params_file',
      'ssl_ecdh_curve',
      'ssl_groups',
      'ssl_key_file',
      'ssl_max_protocol_version',
      'ssl_min_protocol_version',
      'ssl_passphrase_command',
      'ssl_passphrase_command_supports_reload',
      'ssl_prefer_server_ciphers',
      'ssl_tls13_ciphers',
    ],
    reason: 'certificates belong to Mainstay; use spec.tls',
  },
];

/** Parameters with values that would break a promise; the other values are the user's choice. */
export const restrictedParameters: readonly RestrictedParameter[] = [
  {
    name: 'synchronous_commit',
    allowed: { values: ['on', 'remote_apply'] },
    reason:
      'with less, a write is acknowledged before a replica holds it; spec.durability.mode: Async gives that choice',
  },
  {
    name: 'wal_level',
    allowed: { values: ['replica', 'logical'] },
    reason: 'replicas need it',
  },
  {
    name: 'max_wal_senders',
    allowed: { minimum: 20 },
    reason: 'up to 9 instances, clones and rewinds must find a free sender',
  },
  {
    name: 'max_replication_slots',
    allowed: { minimum: 20 },
    reason: 'each instance has a slot on every other',
  },
  {
    name: 'superuser_reserved_connections',
    allowed: { minimum: 3 },
    reason: 'the agent must get in when clients have taken every other connection',
  },
];

/** Why `name` is locked; undefined if it is the user's. */
export function lockReason(name: string): string | undefined {
  return lockedParameters.find((group) => group.names.includes(name))?.reason;
}

export const parameterRules = rulesOf(
  {
    pattern: '^[a-z_][a-z0-9_]{0,62}([.][a-z_][a-z0-9_]{0,62})?$',
    example: '"work_mem" or "auto_explain.log_min_duration"',
  },
  lockedParameters,
  restrictedParameters,
);
