/** Roles, databases and the first data, on real PostgreSQL. */
import { describe, expect, test } from '@jest/globals';
import { drivePostgres } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import type { DeclaredDatabase, DeclaredRole, PostgresDeclaration } from '../../api/postgres-declaration.ts';
import { scramVerifier } from '../../platform/scram.ts';
import { psqlComplaint } from './bootstrap.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

const role = (name: string, more: Partial<DeclaredRole> = {}): DeclaredRole => ({ name, ensure: 'present', ...more });
const database = (name: string, more: Partial<DeclaredDatabase> = {}): DeclaredDatabase => ({
  name,
  ensure: 'present',
  extensions: [],
  schemas: [],
  ...more,
});
const asked = (
  roles: readonly DeclaredRole[],
  databases: readonly DeclaredDatabase[] = [],
  more: Partial<PostgresDeclaration> = {},
): PostgresDeclaration => ({ roles, databases, ...more });

onRealServers(
  title('roles and databases: made, changed, left alone when changed by others, removed only if asked'),
  async () => {
    const pg = removedAfterwards(await drivePostgres(root));
    await pg.serve();
    const one = (sql: string): string => pg.psql(sql).output;
    const password = async (text: string) => ({ verifier: await scramVerifier(text, text), revision: text });
    const as = (text: string, db: string) => ({ role: 'shop', password: text, database: db });

    const roles = [
      // Before the group that it belongs to.
      role('shop', {
        login: true,
        connectionLimit: 7,
        validUntil: '2099-01-31T01:00:00+01:00',
        memberOf: ['readers', 'pg_monitor'],
        comment: "the shop's own",
        password: await password('first'),
      }),
      role('readers', { login: false }),
      role('Writer-2', { login: true, createdb: true }),
    ];
    const shop = database('shop', {
      owner: 'shop',
      connectionLimit: 50,
      extensions: [{ name: 'pg_trgm', ensure: 'present' }],
      schemas: [{ name: 'sales', ensure: 'present' }],
      readers: ['readers'],
      writers: ['Writer-2'],
    });
    expect(await pg.declare(asked(roles, [shop]))).toEqual([]);
    expect(
      one(
        `SELECT rolcanlogin, rolconnlimit, rolvaliduntil = '2099-01-31T00:00:00Z', shobj_description(oid, 'pg_authid') FROM pg_authid WHERE rolname = 'shop'`,
      ),
    ).toBe("t|7|t|the shop's own");
    expect(pg.psql('SELECT current_user', 10_000, as('first', 'shop')).output).toBe('shop');
    expect(pg.psql('SELECT 1', 10_000, as('wrong', 'shop')).ok).toBe(false);
    expect(
      pg.psql("CREATE TABLE sales.t AS SELECT 1; SELECT similarity('a', 'a')", 10_000, as('first', 'shop')),
    ).toEqual({ ok: true, output: '1' });
    const may = (who: string, what: string): string =>
      pg.psql(`SELECT has_table_privilege('${who}', 'sales.t', '${what}')`, 10_000, as('first', 'shop')).output;
    expect([may('readers', 'SELECT'), may('readers', 'INSERT'), may('Writer-2', 'INSERT')]).toEqual(['t', 'f', 't']);

    // Nothing to do is nothing done: no transaction takes a number.
    const next = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';
    const number = one(next);
    expect(await pg.declare(asked(roles, [shop]))).toEqual([]);
    expect(one(next)).toBe(number);

    // Somebody else's work is told, and left.
    one('ALTER ROLE shop CREATEROLE CONNECTION LIMIT 9');
    one('REVOKE readers FROM shop');
    one('ALTER DATABASE shop CONNECTION LIMIT 1');
    const drifted = await pg.declare(asked(roles, [shop]));
    expect(drifted.map(({ kind, name, state, text }) => `${kind} ${name} ${state}: ${text}`)).toEqual([
      'role shop drifted: has connection limit 9 but 7 was asked for',
      'role shop drifted: is no member of readers any more',
      'database shop drifted: has connection limit 1 but 50 was asked for',
    ]);
    expect(one("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'shop'")).toBe('9');

    // A new wish brings all of the object about; what was never asked for stays as others made it.
    const changed = [
      { ...(roles[0] ?? role('')), password: await password('second'), memberOf: ['readers'] },
      ...roles.slice(1),
    ];
    expect(await pg.declare(asked(changed, [{ ...shop, writers: [], readers: ['readers', 'Writer-2'] }]))).toEqual([]);
    expect(one("SELECT rolconnlimit, rolcreaterole FROM pg_roles WHERE rolname = 'shop'")).toBe('7|t');
    expect(one("SELECT pg_has_role('shop', 'pg_monitor', 'MEMBER'), pg_has_role('shop', 'readers', 'MEMBER')")).toBe(
      'f|t',
    );
    expect(pg.psql('SELECT 1', 10_000, as('first', 'shop')).ok).toBe(false);
    const may2 = (who: string, what: string): string =>
      pg.psql(`SELECT has_table_privilege('${who}', 'sales.t', '${what}')`, 10_000, as('second', 'shop')).output;
    expect([may2('Writer-2', 'INSERT'), may2('Writer-2', 'SELECT')]).toEqual(['f', 't']);

    // What leaves the list stays.
    expect(await pg.declare(asked([]))).toEqual([]);
    expect(one("SELECT count(*) FROM pg_database WHERE datname = 'shop'")).toBe('1');

    // What can't be is said, with what to do, and the rest is done.
    const impossible = await pg.declare(
      asked(
        [role('lonely', { memberOf: ['nobody-there'] }), role('shop', { ensure: 'absent' }), role('fine')],
        [
          database('odd', { owner: 'ghost' }),
          database('ext', { extensions: [{ name: 'nothing', ensure: 'present' }] }),
        ],
      ),
    );
    expect(impossible.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'lonely failed',
      'odd failed',
      'ext failed',
      'shop failed',
    ]);
    const said = new Map(impossible.map(({ name, text }) => [name, text]));
    expect(said.get('lonely')).toMatch(/role "nobody-there" does not exist\. Declare it as well/);
    expect(said.get('ext')).toMatch(/extension "nothing" is not available.*Use an image that holds it/);
    expect(said.get('shop')).toMatch(/cannot be dropped.*owner of database shop.*REASSIGN OWNED BY "shop"/);
    expect(one("SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolname IN ('lonely', 'fine')")).toBe('fine');

    // Removed when asked, the database before its owner.
    expect(
      await pg.declare(asked([role('shop', { ensure: 'absent' })], [database('shop', { ensure: 'absent' })])),
    ).toEqual([]);
    expect(one("SELECT count(*) FROM pg_database, pg_roles WHERE datname = 'shop' OR rolname = 'shop'")).toBe('0');
  },
  240_000,
);

onRealServers(
  title(
    'passwords among the instances are set once everybody holds them; a database’s owner can’t make the agent his own',
  ),
  async () => {
    const pg = removedAfterwards(await drivePostgres(root));
    await pg.serve();
    const verifier = async (text: string) => ({ verifier: await scramVerifier(text, text), revision: text });
    const system = { replication: await verifier('r2'), rewind: await verifier('w2') };
    const stored = (): string =>
      pg.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mainstay_replication'").output;
    const before = stored();
    expect(await pg.declare(asked([], [], { system }), ['t-2'])).toMatchObject([
      { name: 'mainstay_replication', state: 'waiting', text: expect.stringMatching('t-2') as unknown },
      { name: 'mainstay_rewind', state: 'waiting' },
    ]);
    expect(stored()).toBe(before);
    expect(await pg.declare(asked([], [], { system }))).toEqual([]);
    expect(stored()).toBe(system.replication.verifier);

    expect(await pg.declare(asked([role('app', { password: await verifier('app') })]))).toEqual([]);
    const owner = (sql: string) => pg.psql(sql, 10_000, { role: 'app', password: 'app', database: 'app' });
    for (const sql of [
      'CREATE SCHEMA evil',
      "CREATE FUNCTION evil.has_table_privilege(oid, oid, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE app SUPERUSER'; RETURN true; END $$",
      'CREATE TABLE t (n int)',
      'ALTER DATABASE app SET search_path = evil, pg_catalog',
      'ALTER DATABASE app SET default_transaction_read_only = on',
    ])
      expect(owner(sql)).toEqual({ ok: true, output: '' });
    const app = database('app', { readers: ['pg_monitor'] });
    expect(await pg.declare(asked([], [app]))).toEqual([]);
    expect(await pg.declare(asked([], [app]))).toEqual([]);
    expect(pg.psql("SELECT rolsuper FROM pg_roles WHERE rolname = 'app'").output).toBe('f');
  },
  240_000,
);

const bootstrap = {
  encoding: 'UTF8',
  localeProvider: 'icu',
  locale: 'C.UTF-8',
  icuLocale: 'de-DE',
  dataChecksums: false,
  walSegmentMegabytes: 32,
  postInitSql: [
    { database: 'application', file: '0', source: 'ConfigMap init, key app.sql', secret: false },
    { database: 'postgres', file: '1', source: 'Secret init, key more.sql', secret: true },
  ],
} as const;

onRealServers(
  title('the first data: as asked for, SQL run once; and promoted with larger WAL files'),
  async () => {
    const sql = { 0: 'CREATE TABLE t (n int);\nINSERT INTO t VALUES (1);', 1: 'CREATE EXTENSION pg_trgm' };
    const pg = removedAfterwards(await drivePostgres(root, { bootstrap, sql }));
    await pg.serve();
    expect(
      pg.psql(
        "SELECT current_setting('data_checksums'), current_setting('wal_segment_size'), datlocprovider, datlocale FROM pg_database WHERE datname = 'app'",
      ).output,
    ).toBe('off|32MB|i|de-DE');
    expect(pg.psql("SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'").output).toBe('pg_trgm');
    await pg.run({ type: 'stop' });
    await pg.run({ type: 'start' });
    await pg.run({ type: 'seal', adopting: true });
    await pg.run({ type: 'promote', epoch: 2, timeline: 3, sync: { members: [], acknowledgements: 0 } });
    expect(pg.psql('SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)').output).toBe('00000003');
  },
  240_000,
);

onRealServers(
  title('SQL that fails: said with its place and statement, nothing left; of a Secret nothing is shown'),
  async () => {
    const wrong = "SELECT 1;\nCREATE TABLE t (n int);\nINSERT INTO t\n  VALUES ('s3cret');\n";
    const pg = removedAfterwards(await drivePostgres(root, { bootstrap, sql: { 0: wrong } }));
    await expect(pg.run({ type: 'initialize' })).rejects.toThrow(
      /ConfigMap init, key app\.sql failed: line \d+: invalid input syntax for type integer: "s3cret" in: INSERT INTO t VALUES \('s3cret'\);/,
    );
    expect(await pg.inspect()).toEqual({ status: 'absent' });
  },
  240_000,
);

describe('what psql says of a failure', () => {
  const text =
    '/bin/psql ended with 3: psql:/etc/x/0:4: ERROR:  no "s3cret"\nLINE 1: INSERT\npsql:/etc/x/0:4: STATEMENT:  INSERT INTO t\nVALUES (1);';
  test.each([
    ['of a ConfigMap', false, 'line 4: no "s3cret" in: INSERT INTO t VALUES (1);'],
    ['of a Secret', true, 'line 4 (it is a Secret: nothing of it is shown here)'],
  ])('%s', (_, secret, said) => {
    expect(psqlComplaint(text, '/etc/x/0', secret)).toBe(said);
  });
});
