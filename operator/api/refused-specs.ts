/** Specs that must be refused, and what the refusal must say. Unit tests try them on zod, e2e on a real API server. */

import type { ClusterKind } from './database-cluster.ts';

export interface RefusedSpec {
  readonly title: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** The spec that is changed into `spec`; only the API server sees both, so zod can't refuse these. */
  readonly before?: Readonly<Record<string, unknown>>;
  /** Texts of the refusal: field, value, remedy. */
  readonly says: readonly string[];
  /** Refused by the API server's decoder, before any schema. */
  readonly unknownField?: true;
}

const storage = { size: '20Gi' };

const refusedSpecs: readonly RefusedSpec[] = [
  { title: 'no storage', spec: {}, says: ['spec.storage'] },
  { title: '0 instances', spec: { instances: 0, storage }, says: ['spec.instances', '1'] },
  { title: '10 instances', spec: { instances: 10, storage }, says: ['spec.instances', '9'] },
  {
    title: 'as many acknowledgements as instances',
    spec: { instances: 3, durability: { acknowledgements: 3 }, storage },
    says: ['spec.durability.acknowledgements', 'is 3', 'less than spec.instances (3)', 'lower it or raise'],
  },
  {
    title: 'Strict with one instance',
    spec: { instances: 1, durability: { mode: 'Strict' }, storage },
    says: ['spec.durability.mode', 'Strict needs at least 2 instances', 'raise spec.instances'],
  },
  {
    title: 'an unknown durability mode',
    spec: { durability: { mode: 'Eventual' }, storage },
    says: ['spec.durability.mode', 'Strict', 'Preferred', 'Async'],
  },
  {
    title: 'noFailover on every instance',
    spec: { instances: 1, storage, failover: { instances: [{ ordinal: 1, noFailover: true }] } },
    says: ['spec.failover.instances', 'noFailover for every instance', 'remove it from at least one'],
  },
  {
    title: 'an instance that there is not',
    spec: { storage, failover: { instances: [{ ordinal: 4, priority: 1 }] } },
    says: ['spec.failover.instances', 'has ordinal 4 but spec.instances is 3', 'remove the entry or raise'],
  },
  {
    title: 'too few instances that acknowledge',
    spec: {
      storage,
      failover: {
        instances: [
          { ordinal: 2, noSync: true },
          { ordinal: 3, noSync: true },
        ],
      },
    },
    says: ['spec.failover.instances', 'leaves 1 of 3 instances', 'Strict with 1', 'remove noSync from one, or lower'],
  },
  {
    title: 'an instance told of twice',
    spec: {
      storage,
      failover: {
        instances: [
          { ordinal: 2, priority: 1 },
          { ordinal: 2, priority: 2 },
        ],
      },
    },
    says: ['spec.failover.instances'],
  },
  {
    title: 'a malformed zone',
    spec: { storage, failover: { preferredZone: 'eu west' } },
    says: ['spec.failover.preferredZone', '"eu west" is no zone', 'topology.kubernetes.io/zone'],
  },
  {
    title: 'a delay without a unit',
    spec: { storage, failover: { instances: [{ ordinal: 2, replayDelay: '60' }] } },
    says: ['replayDelay', '"60" is no delay', '30m'],
  },
  {
    title: 'delayed replicas only',
    spec: {
      storage,
      failover: {
        instances: [
          { ordinal: 2, replayDelay: '1h' },
          { ordinal: 3, replayDelay: '1h' },
        ],
      },
    },
    says: ['spec.failover.instances', 'leaves 1 of 3 instances', 'replayDelay implies it'],
  },
  {
    title: 'a clone rate of nothing',
    spec: { storage, replication: { cloneRate: '1k' } },
    says: ['spec.replication.cloneRate', 'is 1k but must be a rate of 1Mi or more'],
  },
  {
    title: 'a log volume for a cluster that has none',
    before: { storage },
    spec: { storage, walStorage: { size: '10Gi' } },
    says: ['spec.walStorage', 'can’t be added or removed later'],
  },
  { title: 'an unknown version', spec: { version: '9.6', storage }, says: ['spec.version', '17', '18'] },
  { title: 'a malformed size', spec: { storage: { size: 'lots' } }, says: ['spec.storage.size', 'is lots', '20Gi'] },
  {
    title: 'too small a size',
    spec: { storage: { size: '10Mi' } },
    says: ['spec.storage.size', 'is 10Mi but must be 512Mi or more'],
  },
  {
    title: 'a locked parameter',
    spec: { storage, postgresql: { parameters: { fsync: 'off' } } },
    says: ['spec.postgresql.parameters', 'fsync: managed by Mainstay, remove it'],
  },
  {
    title: 'a locked parameter in capitals',
    spec: { storage, postgresql: { parameters: { FSYNC: 'off' } } },
    says: ['spec.postgresql.parameters', 'lower case'],
  },
  {
    title: 'a parameter that smuggles in another',
    spec: { storage, postgresql: { parameters: { work_mem: "4MB'\nfsync = 'off" } } },
    says: ['spec.postgresql.parameters', 'control character: write it on one line'],
  },
  {
    title: 'too weak a synchronous_commit',
    spec: { storage, postgresql: { parameters: { synchronous_commit: 'off' } } },
    says: ['spec.postgresql.parameters', 'synchronous_commit is off', 'use on or remote_apply'],
  },
  {
    title: 'too few WAL senders',
    spec: { storage, postgresql: { parameters: { max_wal_senders: '2' } } },
    says: ['spec.postgresql.parameters', 'max_wal_senders is 2', 'use 20 or more'],
  },
  {
    title: 'an access rule that smuggles in another',
    spec: { storage, postgresql: { pgHba: ['host all app all md5\nhost all postgres all trust'] } },
    says: ['spec.postgresql.pgHba', 'write one rule on one line'],
  },
  {
    title: 'a library with a quote',
    spec: { storage, postgresql: { sharedPreloadLibraries: ["pg_cron'"] } },
    says: ['spec.postgresql.sharedPreloadLibraries', 'is no name of a library'],
  },
  {
    title: 'a database name that needs quotes',
    spec: { storage, application: { database: 'My Shop' } },
    says: ['spec.application.database', 'My Shop', 'use lower-case letters, digits and underscores'],
  },
  {
    title: 'an unknown TLS version',
    spec: { storage, tls: { minVersion: 'TLSv1.1' } },
    says: ['spec.tls.minVersion', 'TLSv1.2', 'TLSv1.3'],
  },
  {
    title: 'ciphers that smuggle in a setting',
    spec: { storage, tls: { ciphers: "HIGH'\nssl = 'off" } },
    says: ['spec.tls.ciphers', 'is no list of ciphers', 'HIGH:!aNULL'],
  },
  {
    title: 'a URL among the names of the certificate',
    spec: { storage, tls: { names: ['https://db.example.com'] } },
    says: ['spec.tls.names', 'is no DNS name or address', 'db.example.com'],
  },
  {
    title: 'a Secret in another namespace',
    spec: { storage, tls: { serverSecret: 'shop/server' } },
    says: ['spec.tls.serverSecret', '"shop/server" is no name of a Secret'],
  },
  {
    title: 'a malformed image',
    spec: { storage, image: 'postgres 18' },
    says: ['spec.image', 'postgres 18', 'write it as in'],
  },
  {
    title: 'a reserved owner',
    spec: { storage, application: { owner: 'postgres' } },
    says: ['spec.application.owner', 'postgres is reserved', 'choose another'],
  },
  {
    title: 'a request above its limit',
    spec: { storage, resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } },
    says: ['spec.resources.requests', 'requests.memory', 'lower the request or raise the limit'],
  },
  {
    title: 'a label of ours',
    spec: { storage, pod: { labels: { 'mainstay.dev/role': 'primary' } } },
    says: ['spec.pod.labels', 'use another prefix'],
  },
  {
    title: 'an unknown field',
    spec: { storage, instanses: 5 },
    says: ['unknown field "spec.instanses"'],
    unknownField: true,
  },
  {
    title: 'storage that shrinks',
    before: { storage },
    spec: { storage: { size: '10Gi' } },
    says: ['spec.storage.size', 'is 10Gi but was 20Gi', 'keep 20Gi'],
  },
  {
    title: 'no storage class any more',
    before: { storage: { ...storage, storageClassName: 'local' } },
    spec: { storage },
    says: ['spec.storage.storageClassName', 'name the class'],
  },
  {
    title: 'another version',
    before: { version: '18', storage },
    spec: { version: '17', storage },
    says: ['spec.version', 'ClusterOperation of type Upgrade'],
  },
  {
    title: 'another application database',
    before: { storage },
    spec: { storage, application: { database: 'shop' } },
    says: ['spec.application.database', 'add others under spec.databases and spec.roles'],
  },
  {
    title: 'another locale later',
    before: { storage },
    spec: { storage, bootstrap: { localeProvider: 'icu', icuLocale: 'de-DE' } },
    says: ['spec.bootstrap', 'the data were made by it, once', 'make a new cluster'],
  },
  {
    title: 'a locale that PostgreSQL itself does not have',
    spec: { storage, bootstrap: { locale: 'de_DE.UTF-8' } },
    says: ['spec.bootstrap.locale', 'must be C, C.UTF-8, PG_UNICODE_FAST', 'set localeProvider to icu or libc'],
  },
  {
    title: 'icu without its locale',
    spec: { storage, bootstrap: { localeProvider: 'icu' } },
    says: ['spec.bootstrap.icuLocale', 'set both or neither'],
  },
  {
    title: 'SQL from nowhere',
    spec: { storage, bootstrap: { postInitSql: [{}] } },
    says: ['spec.bootstrap.postInitSql', 'needs either configMap or secret'],
  },
  {
    title: 'a role with a reserved name',
    spec: { storage, roles: [{ name: 'pg_shop' }] },
    says: ['spec.roles', 'pg_shop is reserved', 'choose another'],
  },
  {
    title: 'a role told of twice',
    spec: { storage, roles: [{ name: 'shop' }, { name: 'shop', login: true }] },
    says: ['spec.roles'],
  },
  {
    title: 'a password for a role of which nobody says whether it may log in',
    spec: { storage, roles: [{ name: 'shop', passwordSecret: { name: 'shop' } }] },
    says: ['spec.roles', 'set login: true'],
  },
  {
    title: 'a role that is its own member',
    spec: { storage, roles: [{ name: 'shop', memberOf: ['shop'] }] },
    says: ['spec.roles', 'has the role itself'],
  },
  {
    title: 'an end of validity that is no moment',
    spec: { storage, roles: [{ name: 'shop', validUntil: 'tomorrow' }] },
    says: ['spec.roles', '"tomorrow" is no moment', '2027-01-31T00:00:00Z'],
  },
  {
    title: 'the application’s owner removed',
    spec: { storage, roles: [{ name: 'app', ensure: 'absent' }] },
    says: ['spec.roles', 'spec.application.owner must stay'],
  },
  {
    title: 'the application’s database removed',
    spec: { storage, databases: [{ name: 'app', ensure: 'absent' }] },
    says: ['spec.databases', 'spec.application.database must stay'],
  },
  {
    title: 'the server’s own database removed',
    spec: { storage, databases: [{ name: 'postgres', ensure: 'absent' }] },
    says: ['spec.databases', 'postgres belongs to the server'],
  },
  {
    title: 'another locale for a database that is there',
    before: { storage, databases: [{ name: 'shop', localeProvider: 'libc', locale: 'C' }] },
    spec: { storage, databases: [{ name: 'shop', localeProvider: 'libc', locale: 'POSIX' }] },
    says: ['spec.databases', 'can’t be changed', 'restore the old values'],
  },
];

const ofPostgres = new Set(['version', 'walStorage', 'postgresql', 'application', 'bootstrap', 'roles', 'databases']);
const isCommon = ({ spec, before = {} }: RefusedSpec): boolean =>
  ![...Object.keys(spec), ...Object.keys(before)].some((field) => ofPostgres.has(field));

const ofMysql: readonly RefusedSpec[] = [
  { title: 'an unknown version', spec: { version: '5.7', storage }, says: ['spec.version', '8.4', '9.7'] },
  {
    title: 'a user of Mainstay’s',
    spec: { storage, users: [{ name: 'mainstay_sync_1' }] },
    says: ['spec.users', 'mainstay_sync_1 is reserved', 'choose another'],
  },
  {
    title: 'the application’s user locked',
    spec: { storage, users: [{ name: 'app', locked: true }] },
    says: ['spec.users', 'spec.application.owner must stay'],
  },
  {
    title: 'the application’s database to go',
    spec: { storage, databases: [{ name: 'app', ensure: 'absent' }] },
    says: ['spec.databases', 'spec.application.database must stay'],
  },
  {
    title: 'the server’s own database',
    spec: { storage, databases: [{ name: 'performance_schema' }] },
    says: ['spec.databases', 'performance_schema is reserved'],
  },
  {
    title: 'a privilege that breaks what Mainstay promises',
    spec: { storage, users: [{ name: 'u', grants: [{ privileges: ['SUPER'], database: '*' }] }] },
    says: ['spec.users', 'privileges'],
  },
  {
    title: 'a write to the server’s own tables',
    spec: { storage, users: [{ name: 'u', grants: [{ privileges: ['UPDATE'], database: '*' }] }] },
    says: ['spec.users', 'name a database for others'],
  },
  {
    title: 'a grant on the server’s accounts',
    spec: { storage, users: [{ name: 'u', grants: [{ privileges: ['SELECT'], database: 'mysql' }] }] },
    says: ['spec.users', 'mysql is reserved'],
  },
  {
    title: 'a privilege of the server on one database',
    spec: { storage, users: [{ name: 'u', grants: [{ privileges: ['PROCESS'], database: 'shop' }] }] },
    says: ['spec.users', 'give them with database "*"'],
  },
  {
    title: 'a table of any database',
    spec: { storage, users: [{ name: 'u', grants: [{ privileges: ['SELECT'], database: '*', table: 't' }] }] },
    says: ['spec.users', 'name it in database'],
  },
  {
    title: 'ALL and more',
    spec: { storage, users: [{ name: 'u', grants: [{ privileges: ['ALL', 'SELECT'], database: 'shop' }] }] },
    says: ['spec.users', 'remove the others'],
  },
  {
    title: 'a locked variable',
    spec: { storage, mysql: { parameters: { sync_binlog: '0' } } },
    says: ['spec.mysql.parameters', 'sync_binlog: managed by Mainstay, remove it'],
  },
  {
    title: 'a locked variable by another name',
    spec: { storage, mysql: { parameters: { skip_log_bin: 'ON' } } },
    says: ['spec.mysql.parameters', 'write the variable itself'],
  },
  {
    title: 'a locked variable in capitals, with dashes',
    spec: { storage, mysql: { parameters: { 'Sync-Binlog': '0' } } },
    says: ['spec.mysql.parameters', 'lower case'],
  },
  {
    title: 'a variable that smuggles in another',
    spec: { storage, mysql: { parameters: { sql_mode: 'ANSI\nsync_binlog=0' } } },
    says: ['spec.mysql.parameters', 'control character: write it on one line'],
  },
  {
    title: 'too few connections',
    spec: { storage, mysql: { parameters: { max_connections: '5' } } },
    says: ['spec.mysql.parameters', 'max_connections is 5', 'use 20 or more'],
  },
  {
    title: 'a reserved owner',
    spec: { storage, application: { owner: 'root' } },
    says: ['spec.application.owner', 'root is reserved', 'choose another'],
  },
  {
    title: 'a group of two',
    spec: { storage, topology: 'Group', instances: 2 },
    says: ['spec.instances', 'must not be 2 with topology Group', 'use 3'],
  },
  {
    title: 'a durability for a group',
    spec: { storage, topology: 'Group', durability: { mode: 'Async' } },
    says: ['spec.durability', 'has no meaning with topology Group', 'remove it'],
  },
  {
    title: 'an instance of a group that may not lead',
    spec: { storage, topology: 'Group', failover: { instances: [{ ordinal: 1, noFailover: true }] } },
    says: ['spec.failover.instances', 'with topology Group', 'use priority'],
  },
  {
    title: 'many primaries without a group',
    spec: { storage, group: { mode: 'MultiPrimary' } },
    says: ['spec.group.mode', 'needs topology Group'],
  },
  {
    title: 'variables of a group without one',
    spec: { storage, mysql: { parameters: { group_replication_consistency: 'AFTER' } } },
    says: ['spec.mysql.parameters', 'need topology Group'],
  },
  {
    title: 'a variable by which the agent forms the group',
    spec: { storage, topology: 'Group', mysql: { parameters: { group_replication_bootstrap_group: 'ON' } } },
    says: ['spec.mysql.parameters', 'only consistency', 'remove the others'],
  },
  {
    title: 'less consistency than a failover needs',
    spec: { storage, topology: 'Group', mysql: { parameters: { group_replication_consistency: 'EVENTUAL' } } },
    says: ['spec.mysql.parameters', 'group_replication_consistency is EVENTUAL', 'use BEFORE_ON_PRIMARY_FAILOVER'],
  },
  {
    title: 'a change of topology',
    before: { storage },
    spec: { storage, topology: 'Group' },
    says: ['spec.topology', 'can’t be changed', 'make a new cluster'],
  },
  {
    title: 'a change of the group’s mode',
    before: { storage, topology: 'Group' },
    spec: { storage, topology: 'Group', group: { mode: 'MultiPrimary' } },
    says: ['spec.group.mode', 'can’t be changed'],
  },
];

export const refusedSpecsOf: Readonly<Record<ClusterKind, readonly RefusedSpec[]>> = {
  PostgresCluster: refusedSpecs,
  MySQLCluster: [...refusedSpecs.filter(isCommon), ...ofMysql],
};
