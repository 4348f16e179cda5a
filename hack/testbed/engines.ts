/** What tests say to a database, in its own words: one table for each engine. What happens inside its Pod is looked at from outside. */
import type { EngineName } from '../../operator/api/cluster-state.ts';
import { clusterKinds, type ClusterKind } from '../../operator/api/database-cluster.ts';
import { profileOf } from '../../operator/engines/profiles.ts';

export interface TestedEngine {
  /** Also the name of the container. */
  readonly name: EngineName;
  readonly kind: ClusterKind;
  readonly product: string;
  readonly port: number;
  /** What the README shows is what is tested. */
  readonly example: string;
  /** As its superuser, within the Pod, in the application's database; answers without headings. */
  readonly client: (sql: string) => readonly string[];

  /** Command lines for bash in the Pod. */
  readonly shell: {
    readonly kill: string;
    /** Seconds since 1970. */
    readonly startedAt: string;
    /** Prints how many there were. */
    readonly endSessions: (user: string) => string;
    /** Ends the connections of all its replicas. */
    readonly dropReplicas: string;
    /** Of every table of the application; the same for the same rows. */
    readonly digest: string;
    /** Who is logged in by the Service -rw then, or why nobody is. */
    readonly login: (user: string, password: string) => string;
  };

  readonly sql: {
    /** Replicas that receive from it. */
    readonly receiving: string;
    /** Whether an instance is being copied from it: more than 0. */
    readonly copiesFrom: string;
    /** Makes a table of so many rows, about 100 bytes each. */
    readonly bulk: (table: string, rows: number) => string;
    readonly pauseReplay: string;
    readonly resumeReplay: string;
    readonly connectionLimit: (user: string, limit: number) => string;
    readonly show: (parameter: string) => string;
    /** 1 or 0. */
    readonly hasTable: (table: string) => string;
    /** Of the primary’s log. */
    readonly position: string;
    /** 1 or 0: a replica has it, replayed or not. */
    readonly hasReceived: (position: string) => string;
  };

  /** What the spec calls them. */
  readonly spec: {
    readonly parameters: (parameters: Readonly<Record<string, string | null>>) => object;
    readonly roles: (roles: readonly object[] | null) => object;
    readonly login: object;
  };
  /** One that takes effect with a restart only: a value for it, and how the server shows that and its default. */
  readonly restartParameter: {
    readonly name: string;
    readonly value: string;
    readonly shown: string;
    readonly usual: string;
  };
}

const psql = 'psql -h /run/mainstay -U postgres -d postgres -XqAt';
const mysql = 'mysql --socket=/run/mainstay/mysqld.sock --user=root --skip-column-names --batch';

const postgres: TestedEngine = {
  ...about('PostgresCluster', 'examples/postgres.yaml'),
  client: (sql) => [...psql.split(' '), '-v', 'ON_ERROR_STOP=1', '-c', sql],
  shell: {
    kill: 'kill -9 $(head -1 /var/lib/mainstay/pgdata/postmaster.pid)',
    startedAt: `${psql} -c 'SELECT extract(epoch FROM pg_postmaster_start_time())'`,
    endSessions: (user) =>
      `${psql} -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '${user}'"`,
    dropReplicas: `${psql} -c 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication'`,
    digest:
      `echo "SELECT format('SELECT %L, md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %I t', tablename, tablename)` +
      ` FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename \\gexec" | ${psql} -d app`,
    login: (user, password) =>
      `PGPASSWORD='${password}' psql 'host=orders-rw user=${user} dbname=postgres connect_timeout=5' -XqAtc 'SELECT current_user' 2>&1 || true`,
  },
  sql: {
    receiving: "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
    copiesFrom: 'SELECT count(*) FROM pg_stat_progress_basebackup',
    bulk: (table, rows) =>
      `CREATE TABLE ${table} AS SELECT n, repeat('x', 100) AS filling FROM generate_series(1, ${rows}) n`,
    pauseReplay: 'SELECT pg_wal_replay_pause()',
    resumeReplay: 'SELECT pg_wal_replay_resume()',
    connectionLimit: (user, limit) => `ALTER ROLE ${user} CONNECTION LIMIT ${limit}`,
    show: (parameter) => `SHOW ${parameter}`,
    hasTable: (table) => `SELECT (to_regclass('${table}') IS NOT NULL)::int`,
    position: 'SELECT pg_current_wal_lsn()',
    hasReceived: (position) => `SELECT (pg_last_wal_receive_lsn() >= '${position}')::int`,
  },
  spec: {
    parameters: (parameters) => ({ postgresql: { parameters } }),
    roles: (roles) => ({ roles }),
    login: { login: true },
  },
  restartParameter: { name: 'track_activity_query_size', value: '4096', shown: '4kB', usual: '1kB' },
};

const mysqlEngine: TestedEngine = {
  ...about('MySQLCluster', 'examples/mysql.yaml'),
  client: (sql) => [...mysql.split(' '), '--database=app', '--execute', sql],
  shell: {
    kill: 'kill -9 $(cat /run/mainstay/mysqld.pid)',
    startedAt: 'stat --format %.Y /run/mainstay/mysqld.pid',
    endSessions: (user) => killed(`processlist_user = '${user}'`),
    dropReplicas: killed("processlist_command LIKE 'Binlog Dump%'"),
    digest:
      `${mysql} -e "SELECT CONCAT('CHECKSUM TABLE app.', table_name, ';') FROM information_schema.tables` +
      ` WHERE table_schema = 'app' ORDER BY table_name" | ${mysql}`,
    login: (user, password) =>
      `mysql --host=orders-rw --user=${user} --password='${password}' --connect-timeout=5 --skip-column-names --batch` +
      ` -e "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)" 2>&1 | grep -v 'Using a password' || true`,
  },
  sql: {
    receiving: "SELECT count(*) FROM performance_schema.threads WHERE processlist_command LIKE 'Binlog Dump%'",
    copiesFrom: "SELECT count(*) FROM performance_schema.threads WHERE processlist_user = 'mainstay_clone'",
    bulk: (table, rows) =>
      `SET SESSION cte_max_recursion_depth = ${rows}; CREATE TABLE ${table} (n int PRIMARY KEY, filling char(100));` +
      ` INSERT INTO ${table} WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < ${rows})` +
      " SELECT n, REPEAT('x', 100) FROM series",
    pauseReplay: 'STOP REPLICA SQL_THREAD',
    resumeReplay: 'START REPLICA SQL_THREAD',
    connectionLimit: (user, limit) => `ALTER USER ${user}@'%' WITH MAX_USER_CONNECTIONS ${limit}`,
    show: (parameter) => `SELECT @@global.${parameter}`,
    hasTable: (table) =>
      `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'app' AND table_name = '${table}'`,
    position: "SELECT REPLACE(@@global.gtid_executed, '\n', '')",
    hasReceived: (position) =>
      `SELECT GTID_SUBSET('${position}', CONCAT(@@global.gtid_executed, ',', received_transaction_set))` +
      ' FROM performance_schema.replication_connection_status',
  },
  spec: {
    parameters: (parameters) => ({ mysql: { parameters } }),
    roles: (users) => ({ users }),
    login: {},
  },
  restartParameter: { name: 'back_log', value: '99', shown: '99', usual: '200' },
};

function about(
  kind: ClusterKind,
  example: string,
): Pick<TestedEngine, 'name' | 'kind' | 'product' | 'port' | 'example'> {
  const { engine: name, product, port } = profileOf({ kind });
  return { name, kind, product, port, example };
}

/** Sessions of the server; one that has ended meanwhile is no error. */
function killed(which: string): string {
  const ids = `SELECT processlist_id FROM performance_schema.threads WHERE ${which}`;
  return `ids=$(${mysql} -e "${ids}"); for id in $ids; do ${mysql} -e "KILL $id" 2>/dev/null || true; done; echo $ids | wc -w`;
}

export const testedEngines: Readonly<Record<EngineName, TestedEngine>> = { postgres, mysql: mysqlEngine };

/** As people name it on a command line. */
export function engineNamed(name: string | undefined): TestedEngine {
  const found = Object.values(testedEngines).find((engine) => engine.name === (name ?? 'postgres'));
  if (found === undefined)
    throw new Error(`--engine is “${name ?? ''}”: choose ${Object.keys(testedEngines).join(' or ')}`);
  return found;
}

/** As kubectl takes it. */
export const resourceOf = ({ kind }: Pick<TestedEngine, 'kind'>): string => `${clusterKinds[kind]}.mainstay.dev`;
