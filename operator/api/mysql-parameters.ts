/** MySQL variables that users can't set, or not to every value, each with its reason. */
import { rulesOf, type LockedParameters, type RestrictedParameter } from './parameter-rules.ts';

/** Variables that Mainstay sets itself, or that would break its promises whatever their value. */
export const lockedVariables: readonly LockedParameters[] = [
  {
    names: [
      'rpl_semi_sync_source_enabled',
      'rpl_semi_sync_source_timeout',
      'rpl_semi_sync_source_wait_point',
      'rpl_semi_sync_source_wait_no_replica',
      'rpl_semi_sync_source_wait_for_replica_count',
      'rpl_semi_sync_replica_enabled',
    ],
    reason: 'the agent keeps it equal to the sync set in etcd; use spec.durability',
  },
  {
    names: ['gtid_mode', 'enforce_gtid_consistency', 'log_bin', 'log_bin_index', 'log_replica_updates'],
    reason: 'by its GTIDs the agent knows what an instance holds',
  },
  {
    names: ['binlog_expire_logs_auto_purge'],
    reason:
      'the agent deletes binary logs once they are as old as binlog_expire_logs_seconds and no instance needs them any more',
  },
  {
    names: ['binlog_format', 'binlog_row_image', 'binlog_encryption', 'binlog_transaction_compression'],
    reason: 'replicas, and the way back of a former primary, need the binary log as it is',
  },
  {
    names: [
      'sync_binlog',
      'sync_relay_log',
      'innodb_flush_log_at_trx_commit',
      'innodb_doublewrite',
      'innodb_force_recovery',
      'innodb_read_only',
      'relay_log_recovery',
      'relay_log_purge',
      'disabled_storage_engines',
      'default_storage_engine',
    ],
    reason: 'any other value than Mainstay’s can lose or corrupt acknowledged writes',
  },
  {
    names: [
      'read_only',
      'super_read_only',
      'offline_mode',
      'skip_replica_start',
      'replica_preserve_commit_order',
      'replica_net_timeout',
      'replicate_do_db',
      'replicate_ignore_db',
      'replicate_do_table',
      'replicate_ignore_table',
      'replicate_wild_do_table',
      'replicate_wild_ignore_table',
      'replicate_rewrite_db',
      'binlog_do_db',
      'binlog_ignore_db',
      'replica_skip_errors',
    ],
    reason:
      'the agent decides whom an instance follows and who is written to, and a replica must be ready to take over at once',
  },
  {
    names: ['server_id', 'server_uuid', 'report_host', 'report_port', 'report_user', 'report_password'],
    reason: 'the agent sets it: acknowledgements are counted by it',
  },
  {
    names: [
      'bind_address',
      'port',
      'socket',
      'skip_networking',
      'skip_name_resolve',
      'admin_address',
      'admin_port',
      'create_admin_listener_thread',
      'mysqlx',
      'mysqlx_port',
      'mysqlx_bind_address',
      'mysqlx_socket',
    ],
    reason: 'Services, probes and agents rely on its value',
  },
  {
    names: [
      'datadir',
      'basedir',
      'tmpdir',
      'replica_load_tmpdir',
      'pid_file',
      'secure_file_priv',
      'plugin_dir',
      'plugin_load',
      'plugin_load_add',
      'early_plugin_load',
      'init_file',
      'relay_log',
      'relay_log_index',
      'innodb_data_home_dir',
      'innodb_log_group_home_dir',
      'innodb_undo_directory',
      'innodb_directories',
      'persisted_globals_load',
      'persist_only_admin_x509_subject',
    ],
    reason: 'the agent writes the configuration, and replaces a data directory as a whole',
  },
  {
    names: [
      'log_error',
      'log_error_services',
      'log_error_suppression_list',
      'log_output',
      'log_raw',
      'slow_query_log_file',
    ],
    reason:
      'the agent reads MySQL’s logs and merges them into the Pod’s; log_error_verbosity, slow_query_log and long_query_time are yours to choose',
  },
  {
    names: [
      'ssl_ca',
      'ssl_capath',
      'ssl_cert',
      'ssl_cipher',
      'ssl_crl',
      'ssl_crlpath',
      'ssl_key',
      'auto_generate_certs',
      'require_secure_transport',
      'tls_version',
      'tls_ciphersuites',
    ],
    reason: 'certificates belong to Mainstay; use spec.tls',
  },
];

/** Variables with values that would break a promise; the other values are the user's choice. */
export const restrictedVariables: readonly RestrictedParameter[] = [
  {
    name: 'max_connections',
    allowed: { minimum: 20 },
    reason: 'up to 9 instances and their agents must get in beside the clients',
  },
  {
    name: 'group_replication_consistency',
    allowed: { values: ['BEFORE_ON_PRIMARY_FAILOVER', 'BEFORE', 'AFTER', 'BEFORE_AND_AFTER'] },
    reason: 'with less, a new primary shows old data until it has applied what its predecessor acknowledged',
  },
  {
    name: 'replica_parallel_workers',
    allowed: { minimum: 1 },
    reason: 'without workers a replica falls behind, and MySQL means to give that up',
  },
];

/** Those of Group Replication that people may set. */
const ofGroup =
  /^group_replication_(consistency|flow_control_[a-z_]+|message_cache_size|transaction_size_limit|compression_threshold|member_expel_timeout)$/;

export const mysqlParameterRules = [
  ...rulesOf(
    {
      pattern: '^[a-z][a-z0-9_]{0,63}([.][a-z][a-z0-9_]{0,63})?$',
      example: '"max_connections" or "validate_password.length"',
    },
    lockedVariables,
    restrictedVariables,
  ),
  {
    cel: `self.all(name, !name.startsWith('group_replication_') || name.matches('${ofGroup.source}'))`,
    message:
      'group_replication_*: only consistency, flow_control_*, message_cache_size, transaction_size_limit, compression_threshold and member_expel_timeout are yours, remove the others (the agent forms the group by them)',
    holds: (self: Readonly<Record<string, string>>) =>
      Object.keys(self).every((name) => !name.startsWith('group_replication_') || ofGroup.test(name)),
  },
  {
    // Another way to write almost any variable, those that belong to Mainstay included.
    cel: "self.all(name, !name.matches('^(loose|skip|enable|disable|maximum)_'))",
    message:
      'names that begin with loose_, skip_, enable_, disable_ or maximum_ are options of the command line: write the variable itself, as in event_scheduler',
    holds: (self: Readonly<Record<string, string>>) =>
      !Object.keys(self).some((name) => /^(loose|skip|enable|disable|maximum)_/.test(name)),
  },
];
