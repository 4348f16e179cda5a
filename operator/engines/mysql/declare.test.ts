/** Users, databases and grants of the custom resource in a real server. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { mysqlGroup, type DrivenMysql, type MysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import type { DeclaredDatabase, DeclaredUser } from '../../api/mysql-declaration.ts';
import { cachingSha2Verifier } from './caching-sha2.ts';
import { heldPrivileges } from './grants.ts';

const { root, onRealServers, title } = await realServers('mysql');

let group: MysqlGroup;
let server: DrivenMysql;
beforeAll(async () => {
  if (root === '') return;
  group = await mysqlGroup(root, ['m-1']);
  await group.found('m-1');
  server = group.server('m-1');
}, 300_000);
afterAll(async () => {
  if (root !== '') await group.remove();
}, 60_000);

const sql = (text: string): string => {
  const { ok, output } = server.sql(text, 30_000);
  if (!ok) throw new Error(output);
  return output;
};
const as = (user: string, text: string, password = user): string =>
  server
    .sql(text, 30_000, { user, password })
    .output.replace(/^mysql: \[Warning\].*\n?/m, '')
    .trim();

type Asked = { readonly [Field in keyof DeclaredUser]?: DeclaredUser[Field] } & { readonly name: string };
const password = (text: string) => ({ verifier: cachingSha2Verifier(text, text), revision: text });
const user = (asked: Asked): DeclaredUser => ({ ensure: 'present', ...asked });
const database = (name: string, more: Partial<DeclaredDatabase> = {}): DeclaredDatabase => ({
  name,
  ensure: 'present',
  ...more,
});
let asked: { users: readonly DeclaredUser[]; databases: readonly DeclaredDatabase[]; again?: string };
beforeEach(() => {
  asked = { users: [], databases: [] };
});
const declare = (change: Partial<typeof asked> = {}) => server.declare((asked = { ...asked, ...change }));

test('what SHOW GRANTS says is read, columns and roles left out', () => {
  const held = heldPrivileges([
    'GRANT USAGE ON *.* TO `u`@`%`',
    'GRANT SELECT, SHOW VIEW ON `a\\_b`.* TO `u`@`%` WITH GRANT OPTION',
    'GRANT INSERT, SELECT (`x`, `y`), UPDATE ON `a`.`t` TO `u`@`%`',
    'GRANT SELECT (`x`) ON `a`.`v` TO `u`@`%`',
    'GRANT ALL PRIVILEGES ON `all`.`t` TO `u`@`%`',
    'GRANT `r`@`%` TO `u`@`%`',
  ]);
  expect([...held].map(([where, set]) => [where, [...set].length])).toEqual([
    ['*.*', 1],
    ['`a\\_b`.*', 2],
    ['`a`.`t`', 2],
    ['`all`.`t`', 12],
  ]);
});

onRealServers(
  title(
    'a user and its databases are made, may do what was granted and no more, and lose what is not granted any more',
  ),
  async () => {
    const shop = user({
      name: 'shop',
      password: password('shop'),
      comment: "O'Brien’s",
      grants: [
        { privileges: ['ALL'], database: 'shop_1' },
        { privileges: ['SELECT'], database: 'archive', table: 'orders' },
        { privileges: ['PROCESS'], database: '*' },
      ],
    });
    sql('CREATE DATABASE archive; CREATE TABLE archive.orders (n int); CREATE TABLE archive.other (n int)');
    sql('CREATE DATABASE shopX1; CREATE TABLE shopX1.t (n int)');
    const both = { users: [shop], databases: [database('shop_1', { characterSet: 'latin1' })] };
    expect(await declare(both)).toEqual([]);
    expect(await declare()).toEqual([]);
    expect(sql("SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'shop_1'")).toBe(
      'latin1',
    );
    expect(as('shop', 'CREATE TABLE shop_1.t (n int); INSERT INTO shop_1.t VALUES (1); SELECT n FROM shop_1.t')).toBe(
      '1',
    );
    expect(as('shop', 'SELECT count(*) FROM archive.orders')).toBe('0');
    for (const forbidden of [
      'SELECT * FROM archive.other',
      'INSERT INTO archive.orders VALUES (1)',
      'SELECT * FROM shopX1.t', // an underscore means any letter to GRANT
      'SELECT user FROM mysql.user',
    ])
      expect(as('shop', forbidden)).toMatch(/denied/);

    sql("GRANT SELECT ON archive.other TO shop@'%'"); // by hand, and nobody's business
    expect(await declare()).toEqual([]);
    const less = { ...shop, grants: [{ privileges: ['SELECT', 'INSERT'], database: 'shop_1' }] };
    expect(await declare({ users: [less] })).toEqual([]);
    expect(as('shop', 'SELECT n FROM shop_1.t')).toBe('1');
    for (const forbidden of ['DELETE FROM shop_1.t', 'SELECT * FROM archive.orders'])
      expect(as('shop', forbidden)).toMatch(/denied/);
    expect(as('shop', 'SELECT count(*) FROM archive.other')).toBe('0');
  },
  240_000,
);

onRealServers(
  title('what somebody else changes is told and left, until it is asked for anew'),
  async () => {
    const audit = user({
      name: 'audit',
      password: password('audit'),
      connectionLimit: 3,
      requireTls: true,
      grants: [{ privileges: ['SELECT'], database: 'books' }],
    });
    const all = { users: [audit], databases: [database('books', { collation: 'utf8mb4_bin' })] };
    expect(await declare(all)).toEqual([]);
    sql(`ALTER USER audit@'%' IDENTIFIED BY 'theirs' REQUIRE NONE WITH MAX_USER_CONNECTIONS 7 ACCOUNT LOCK;
         REVOKE SELECT ON books.* FROM audit@'%'; ALTER DATABASE books COLLATE utf8mb4_0900_ai_ci`);
    const told = async (): Promise<readonly string[]> =>
      (await declare()).map(({ kind, name, state, text }) => `${kind} ${name} ${state}: ${text}`);
    expect(await told()).toEqual([
      'database books drifted: has collation utf8mb4_0900_ai_ci but utf8mb4_bin was asked for',
      'role audit drifted: has another password than its Secret',
      'role audit drifted: may log in without TLS',
      'role audit drifted: has connection limit 7 but 3 was asked for',
      'role audit drifted: is locked',
      'role audit drifted: may not SELECT on `books`.* any more',
    ]);
    expect(await told()).toHaveLength(6);
    expect(await declare({ again: 'now' })).toEqual([]);
    expect(as('audit', 'SELECT 1')).toBe('1');
    sql("DROP USER audit@'%'; DROP DATABASE books");
    expect(await declare()).toMatchObject([
      { name: 'books', state: 'drifted', text: 'has been dropped' },
      { name: 'audit', state: 'drifted', text: 'has been dropped' },
    ]);
    expect(sql("SELECT count(*) FROM mysql.user WHERE user = 'audit'")).toBe('0');
    expect(await declare({ users: [{ ...audit, password: password('other') }] })).toMatchObject([{ name: 'books' }]);
    expect(as('audit', 'SELECT 1', 'other')).toBe('1');
  },
  240_000,
);

onRealServers(
  title('only what is asked to go goes, and not while it is used'),
  async () => {
    const going = user({
      name: 'going',
      password: password('going'),
      grants: [{ privileges: ['ALL'], database: 'gone' }],
    });
    expect(await declare({ users: [going], databases: [database('gone')] })).toEqual([]);
    expect(await declare({ users: [], databases: [] })).toEqual([]);
    expect(as('going', 'CREATE VIEW gone.v AS SELECT 1; CREATE DATABASE x')).toMatch(/denied/);
    const session = server.session('USE gone', 'SELECT SLEEP(60)');
    await group.until(
      'the session',
      () => sql("SELECT count(*) FROM performance_schema.threads WHERE processlist_db = 'gone'") === '1',
    );
    const absent = {
      users: [user({ name: 'going', ensure: 'absent' })],
      databases: [database('gone', { ensure: 'absent' })],
    };
    expect(await declare(absent)).toMatchObject([
      { kind: 'role', name: 'going', state: 'failed', text: expect.stringContaining('view gone.v') as unknown },
      {
        kind: 'database',
        name: 'gone',
        state: 'failed',
        text: expect.stringContaining('Sessions use it (1)') as unknown,
      },
    ]);
    session.kill('SIGKILL');
    sql('DROP VIEW gone.v');
    await group.until('both to go', async () => (await declare()).length === 0);
    expect(sql("SELECT count(*) FROM mysql.user WHERE user = 'going'")).toBe('0');
    expect(sql("SHOW DATABASES LIKE 'gone'")).toBe('');
  },
  240_000,
);

onRealServers(
  title('nobody gets in without a password, and what MySQL refuses says what to do'),
  async () => {
    expect(
      await declare({
        users: [
          user({ name: 'open', locked: false }),
          user({ name: 'silent' }),
          user({
            name: 'lost',
            password: password('lost'),
            grants: [{ privileges: ['SELECT'], database: 'no', table: 't' }],
          }),
        ],
        databases: [database('odd', { characterSet: 'klingon' })],
      }),
    ).toMatchObject([
      {
        kind: 'database',
        name: 'odd',
        state: 'failed',
        text: expect.stringMatching(/klingon.*Correct the name/) as unknown,
      },
      {
        kind: 'role',
        name: 'open',
        state: 'failed',
        text: expect.stringContaining('give it a passwordSecret') as unknown,
      },
      { kind: 'role', name: 'lost', state: 'failed', text: expect.stringContaining('must be there before') as unknown },
    ]);
    for (const name of ['open', 'silent']) expect(as(name, 'SELECT 1', '')).toMatch(/Access denied|is locked/);
    const open = user({ name: 'open', password: password('open') });
    expect(await declare({ users: [open], databases: [] })).toEqual([]);
    expect(as('open', 'SELECT 1')).toBe('1');
  },
  240_000,
);
