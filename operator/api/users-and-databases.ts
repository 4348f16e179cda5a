/** `spec.users` and `spec.databases` of a MySQLCluster: what shall be inside the database. */
import { z } from 'zod';
import { keyReference } from './bootstrap.ts';
import { ensure, listOf, unreserved } from './declared-list.ts';
import { everywhere, onDatabase, onServer } from './mysql-privileges.ts';
import { described, matching, type Rule } from './rules.ts';

const nameRule = matching(
  /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  'is no plain name: use letters, digits and _ . -, as in shop_2; capitals count',
);

const systemDatabases = ['mysql', 'sys', 'information_schema', 'performance_schema'];
/** Of the server and of Mainstay. */
const prefixes = ['mysql.', 'mainstay'];

const inQuotes = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(', ');

const Grant = described(
  z.object({
    privileges: described(
      z
        .array(z.enum(['ALL', ...onDatabase, ...onServer]))
        .min(1)
        .max(32),
      'Privileges, as GRANT names them. ALL: all that there are on one database or table, but for GRANT OPTION.',
      [],
      { 'x-kubernetes-list-type': 'set' },
    ),
    database: described(
      z.string().min(1).max(64),
      'Database that they are for, whether it is listed or not; "*": all, the server’s own among them.',
      [
        matching(/^([*]|[A-Za-z0-9_][A-Za-z0-9_.-]*)$/, 'is no plain name: write shop_2, or "*" for all'),
        unreserved(['mysql'], ['mainstay']),
      ],
    ),
    table: described(
      z.string().min(1).max(64).exactOptional(),
      'Table that they are for; all of the database if absent.',
      [nameRule],
    ),
  }),
  'What it may do, and where.',
  [
    {
      cel: "!has(self.table) || self.database != '*'",
      fieldPath: '.table',
      message: 'needs a database of its own: name it in database',
      holds: ({ database, table }) => table === undefined || database !== '*',
    },
    {
      cel: `self.database == '*' || !self.privileges.exists(one, one in [${inQuotes(onServer)}])`,
      fieldPath: '.privileges',
      message: `${onServer.join(', ')} are of the server as a whole: give them with database "*"`,
      holds: ({ database, privileges }) =>
        database === '*' || !privileges.some((one) => (onServer as readonly string[]).includes(one)),
    },
    {
      cel: `self.database != '*' || self.privileges.all(one, one in [${inQuotes(everywhere)}])`,
      fieldPath: '.privileges',
      message: `on all databases, the server’s own among them, only ${everywhere.join(', ')} can be given: name a database for others`,
      holds: ({ database, privileges }) => database !== '*' || privileges.every((one) => everywhere.includes(one)),
    },
    {
      cel: "!('ALL' in self.privileges) || size(self.privileges) == 1",
      fieldPath: '.privileges',
      message: 'has ALL and others: remove the others',
      holds: ({ privileges }) => !privileges.includes('ALL') || privileges.length === 1,
    },
  ],
);

const User = described(
  z.object({
    name: described(
      z.string().min(1).max(32),
      "Name of the user; it may come from any host ('name'@'%'). Capitals count.",
      [nameRule, unreserved(['root', 'mysql'], prefixes)],
    ),
    ensure: ensure('it is dropped, which is refused while a view, routine, trigger or event runs in its name'),
    passwordSecret: described(
      keyReference('Secret', 'password').exactOptional(),
      'Its password; a change of the Secret is carried over within seconds. Only a verifier of it (caching_sha2_password) ever leaves the Secret. ' +
        'The Secret may hold such a verifier ($A$005$…) instead of a password. Without it a new user is locked.',
    ),
    locked: described(z.boolean().exactOptional(), 'Whether nobody may log in as it (ACCOUNT LOCK).'),
    requireTls: described(z.boolean().exactOptional(), 'Whether it may log in over TLS only (REQUIRE SSL).'),
    connectionLimit: described(
      z.int().min(0).max(100_000).exactOptional(),
      'How many sessions it may have (MAX_USER_CONNECTIONS); 0: no limit.',
    ),
    comment: described(z.string().max(512).exactOptional(), 'Comment on the user.'),
    grants: described(
      z.array(Grant).max(32).exactOptional(),
      'What it may do. What is removed here is revoked; what it was given by hand besides stays.',
      [],
      { 'x-kubernetes-list-type': 'atomic' },
    ),
  }),
  'A user. What isn’t set here is left as it is.',
);
export type UserSpec = z.output<typeof User>;

const Database = described(
  z.object({
    name: described(z.string().min(1).max(64), 'Name of the database. Capitals count.', [
      nameRule,
      unreserved(systemDatabases, ['mainstay']),
    ]),
    ensure: ensure('it is dropped WITH ALL ITS DATA, which is refused while a session uses it'),
    characterSet: described(
      z.string().min(1).max(64).exactOptional(),
      'Character set of tables made from now on; the server’s if absent when it is made (utf8mb4).',
      [matching(/^[a-z0-9_]+$/, 'is no character set: write it as in utf8mb4')],
    ),
    collation: described(
      z.string().min(1).max(64).exactOptional(),
      'Collation of tables made from now on, as in utf8mb4_0900_as_cs.',
      [matching(/^[a-z0-9_]+$/, 'is no collation: write it as in utf8mb4_0900_as_cs')],
    ),
  }),
  'A database. What isn’t set here is left as it is.',
);
export type MySQLDatabaseSpec = z.output<typeof Database>;

export const Users = listOf(
  User,
  128,
  'Users that shall be there, or shall be gone. They are brought to what is said here when it changes; ' +
    'what somebody else changes afterwards is told in the condition RolesReady, and left.',
);

export const MySQLDatabases = listOf(
  Database,
  64,
  'Databases that shall be there, or shall be gone. One that leaves the list stays as it is.',
);

interface Declared {
  readonly application: { readonly database: string; readonly owner: string };
  readonly users: readonly UserSpec[];
  readonly databases: readonly MySQLDatabaseSpec[];
}

/** The application's own may be listed for more than it has anyway, but not against it. */
export const declaredMysqlRules: readonly Rule<Declared>[] = [
  {
    cel: "!self.users.exists(user, user.name == self.application.owner && (user.ensure == 'absent' || has(user.passwordSecret) || has(user.locked) && user.locked))",
    fieldPath: '.users',
    message:
      'spec.application.owner must stay, may log in, and has its password from the application’s Secret: remove ensure, locked and passwordSecret from its entry, or set spec.application.passwordSecret',
    holds: ({ application, users }) =>
      !users.some(
        ({ name, ensure: wanted, passwordSecret, locked }) =>
          name === application.owner && (wanted === 'absent' || passwordSecret !== undefined || locked === true),
      ),
  },
  {
    cel: "!self.databases.exists(one, one.name == self.application.database && one.ensure == 'absent')",
    fieldPath: '.databases',
    message: 'spec.application.database must stay: remove ensure from its entry',
    holds: ({ application, databases }) =>
      !databases.some(({ name, ensure: wanted }) => name === application.database && wanted === 'absent'),
  },
];
