/** `spec.roles` and `spec.databases`: what shall be inside the database. */
import { z } from 'zod';
import { keyReference, localeFields, localeRules } from './bootstrap.ts';
import { ensure, keyed, listOf, unreserved } from './declared-list.ts';
import { described, matching, type Rule } from './rules.ts';

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/;
const extensionPattern = /^[a-z0-9_][a-z0-9_-]*$/;
/** As PostgreSQL reads a timestamp; anything else is a typing error. */
const moment = /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})|infinity)$/;

const plainName = z.string().min(1).max(63);
const nameRule = matching(
  namePattern,
  'is no plain name: use letters, digits and _ . @ -, as in shop_2; capitals count',
);

const prefixes = ['pg_', 'mainstay_'];
const reservedRoles = ['postgres', 'public', 'none'];
const reservedDatabases = ['template0', 'template1'];

const names = (what: string, maximum: number) =>
  described(
    z
      .array(described(plainName, 'Name of a role.', [nameRule]))
      .max(maximum)
      .exactOptional(),
    what,
    [],
    {
      'x-kubernetes-list-type': 'set',
    },
  );

const attribute = (what: string) => described(z.boolean().exactOptional(), what);

const Role = described(
  z.object({
    name: described(plainName, 'Name of the role. Capitals count.', [nameRule, unreserved(reservedRoles, prefixes)]),
    ensure: ensure('it is dropped, which is refused while it owns anything'),
    login: attribute('Whether it may log in (LOGIN).'),
    superuser: attribute('Whether no rule holds for it (SUPERUSER). Nothing but the database’s own tools needs that.'),
    createdb: attribute('Whether it may make databases (CREATEDB).'),
    createrole: attribute('Whether it may make roles (CREATEROLE).'),
    replication: attribute('Whether it may stream the log (REPLICATION), as tools for logical replication need.'),
    bypassrls: attribute('Whether row-level security is ignored for it (BYPASSRLS).'),
    inherit: attribute('Whether it has the rights of the roles that it is granted from now on (INHERIT).'),
    connectionLimit: described(
      z.int().min(-1).max(100_000).exactOptional(),
      'How many sessions it may have; −1: no limit.',
    ),
    validUntil: described(
      z.string().min(1).max(40).exactOptional(),
      'When its password ends to be valid, as in 2027-01-31T00:00:00Z, or infinity.',
      [matching(moment, 'is no moment: write it as in 2027-01-31T00:00:00Z, or infinity')],
    ),
    memberOf: names('Roles that it is a member of, such as pg_monitor or one of this list.', 32),
    passwordSecret: described(
      keyReference('Secret', 'password').exactOptional(),
      'Its password; a change of the Secret is carried over within seconds. Only a SCRAM verifier of it ever leaves the Secret. ' +
        'The Secret may hold such a verifier (SCRAM-SHA-256$…) instead of a password.',
    ),
    comment: described(z.string().max(512).exactOptional(), 'Comment on the role.'),
  }),
  'A role. What isn’t set here is left as it is.',
  [
    {
      cel: '!has(self.passwordSecret) || has(self.login)',
      fieldPath: '.login',
      message: 'must be said where there is a passwordSecret: set login: true for a user',
      holds: ({ passwordSecret, login }) => passwordSecret === undefined || login !== undefined,
    },
    {
      cel: '!has(self.memberOf) || !(self.name in self.memberOf)',
      fieldPath: '.memberOf',
      message: 'has the role itself: remove it',
      holds: ({ name, memberOf }) => !(memberOf ?? []).includes(name),
    },
  ],
);
export type RoleSpec = z.output<typeof Role>;

const Extension = z.object({
  name: described(plainName, 'Name of the extension, as in pg_trgm.', [
    matching(extensionPattern, 'is no name of an extension: write it as in pg_trgm'),
  ]),
  ensure: ensure('it is dropped, which is refused while anything depends on it'),
  version: described(
    z.string().min(1).max(32).exactOptional(),
    'Version to bring it to. Without it: the image’s default when it is made, and left alone afterwards.',
    [matching(/^[A-Za-z0-9._-]+$/, 'is no version: write it as in 1.6')],
  ),
  schema: described(plainName.exactOptional(), 'Schema that holds its objects.', [
    matching(namePattern, 'is no plain name: use letters, digits and _ . @ -'),
  ]),
});

const Schema = z.object({
  name: described(plainName, 'Name of the schema.', [nameRule]),
  ensure: ensure('it is dropped, which is refused while it holds anything'),
  owner: described(plainName.exactOptional(), 'Role that owns it; the database’s owner if absent.', [
    matching(namePattern, 'is no plain name: use letters, digits and _ . @ -'),
  ]),
});

const unchanged = (field: string): string =>
  `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`;

const Database = described(
  z.object({
    name: described(plainName, 'Name of the database. Capitals count.', [
      nameRule,
      unreserved(reservedDatabases, prefixes),
    ]),
    ensure: ensure('it is dropped WITH ALL ITS DATA, which is refused while anybody is connected to it'),
    owner: described(
      plainName.exactOptional(),
      'Role that owns it; when it is made, the application’s owner if absent.',
      [nameRule],
    ),
    ...localeFields,
    connectionLimit: described(
      z.int().min(-1).max(100_000).exactOptional(),
      'How many sessions it may have; −1: no limit.',
    ),
    extensions: described(
      z.array(Extension).max(32).default([]),
      'Extensions. The image must hold their files.',
      [],
      keyed('name'),
    ),
    schemas: described(z.array(Schema).max(32).default([]), 'Schemas.', [], keyed('name')),
    readers: names(
      'Roles that may read all tables of public and of the schemas named here, those made later by the owners of database and schemas included.',
      32,
    ),
    writers: names('Roles that may also insert, update and delete there.', 32),
  }),
  'A database. What isn’t set here is left as it is.',
  [
    ...localeRules('libc').map((rule) => ({
      ...rule,
      // Without a provider the cluster’s is inherited, and its locale with it.
      cel: `!has(self.localeProvider) && !has(self.icuLocale) || ${rule.cel}`,
      holds: (self: Parameters<typeof rule.holds>[0]) =>
        (self.localeProvider === undefined && self.icuLocale === undefined) || rule.holds(self),
    })),
    {
      cel: ['encoding', 'locale', 'localeProvider', 'icuLocale'].map((field) => `(${unchanged(field)})`).join(' && '),
      message:
        'encoding and locale can’t be changed, because the data were sorted and stored by them: restore the old values, or make another database and move the data',
    },
    {
      cel: "self.name != 'postgres' || self.ensure == 'present' && !has(self.owner)",
      message: 'postgres belongs to the server: leave it present, without an owner; extensions may be listed',
      holds: ({ name, ensure: wanted, owner }) => name !== 'postgres' || (wanted === 'present' && owner === undefined),
    },
  ],
);
export type DatabaseSpec = z.output<typeof Database>;

export const Roles = listOf(
  Role,
  128,
  'Roles that shall be there, or shall be gone. They are brought to what is said here when it changes; ' +
    'what somebody else changes afterwards is told in the condition RolesReady, and left.',
);

export const Databases = listOf(
  Database,
  64,
  'Databases that shall be there, or shall be gone. One that leaves the list stays as it is.',
);

interface Declared {
  readonly application: { readonly database: string; readonly owner: string };
  readonly roles: readonly RoleSpec[];
  readonly databases: readonly DatabaseSpec[];
}

/** The application's own may be listed for more than it has anyway, but not against it. */
export const declaredRules: readonly Rule<Declared>[] = [
  {
    cel: "!self.roles.exists(role, role.name == self.application.owner && (role.ensure == 'absent' || has(role.passwordSecret) || has(role.login) && !role.login))",
    fieldPath: '.roles',
    message:
      'spec.application.owner must stay, may log in, and has its password from the application’s Secret: remove ensure, login and passwordSecret from its entry, or set spec.application.passwordSecret',
    holds: ({ application, roles }) =>
      !roles.some(
        ({ name, ensure: wanted, passwordSecret, login }) =>
          name === application.owner && (wanted === 'absent' || passwordSecret !== undefined || login === false),
      ),
  },
  {
    cel: "!self.databases.exists(one, one.name == self.application.database && (one.ensure == 'absent' || has(one.owner) && one.owner != self.application.owner))",
    fieldPath: '.databases',
    message:
      'spec.application.database must stay, and belongs to spec.application.owner: remove ensure and owner from its entry',
    holds: ({ application, databases }) =>
      !databases.some(
        ({ name, ensure: wanted, owner }) =>
          name === application.database &&
          (wanted === 'absent' || (owner !== undefined && owner !== application.owner)),
      ),
  },
];
