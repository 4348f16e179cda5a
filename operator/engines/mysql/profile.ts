import type { MySQLCluster } from '../../api/mysql-cluster.ts';
import { MySQLDeclaration, type DeclaredUser } from '../../api/mysql-declaration.ts';
import { quantityValue } from '../../api/quantity.ts';
import type { Access, EngineProfile, PasswordPlace, Settings } from '../profile.ts';
import { cachingSha2Verifier, isVerifier } from './caching-sha2.ts';
import { bytesOf, parameterDefaults } from './parameter-defaults.ts';

const port = 3306;
const systemRoles = { replication: 'mainstay_replication', clone: 'mainstay_clone' } as const;

export const mysqlProfile: EngineProfile = {
  engine: 'mysql',
  kind: 'MySQLCluster',
  product: 'MySQL',
  port,
  user: 999,
  fields: { settings: 'spec.mysql', roles: 'spec.users', databases: 'spec.databases' },
  systemRoles,

  addresses: ({ host, user, password, database }: Access) => {
    const place = `${host}:${port}/${encodeURIComponent(database)}`;
    return {
      dbname: database,
      uri: `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${place}`,
      'jdbc-uri': `jdbc:mysql://${place}?user=${encodeURIComponent(user)}&password=${encodeURIComponent(password)}&connectTimeout=2000`,
    };
  },

  settings: ({ spec }: MySQLCluster): Settings => ({ parameters: spec.mysql.parameters }),
  settingsProblems: ({ spec }: MySQLCluster) => {
    const value = spec.mysql.parameters['innodb_buffer_pool_size'];
    const limit = spec.resources?.limits?.memory;
    if (value === undefined || limit === undefined) return [];
    return (bytesOf(value) ?? 0) <= (quantityValue(limit) ?? Infinity) * mostOfMemory
      ? []
      : [
          `spec.mysql.parameters: innodb_buffer_pool_size: is ${value}, but must be at most three quarters of spec.resources.limits.memory (${limit}): lower it or raise the limit`,
        ];
  },
  definition: ({ spec }: MySQLCluster) => {
    const defaults = parameterDefaults(spec);
    return {
      ...(Object.keys(defaults).length > 0 && { defaults }),
      ...(spec.topology === 'Group' && { group: { mode: spec.group.mode } }),
    };
  },
  electsItself: ({ spec }: MySQLCluster) => spec.topology === 'Group',
  initFiles: () => [],
  logVolume: () => undefined,

  passwordPlaces: ({ spec }: MySQLCluster): readonly PasswordPlace[] =>
    spec.users.flatMap(({ name, ensure, passwordSecret: own }) =>
      own === undefined || ensure === 'absent' ? [] : [{ role: name, secret: own.name, key: own.key }],
    ),
  declaredCount: ({ spec }: MySQLCluster) => ({ roles: spec.users.length, databases: spec.databases.length }),
  declaration: ({ spec }: MySQLCluster, passwords, again): MySQLDeclaration => {
    const { owner } = spec.application;
    const [replication, clone] = [passwords.get(systemRoles.replication), passwords.get(systemRoles.clone)];
    const users = spec.users.map(({ passwordSecret, ...user }): DeclaredUser => {
      const has = user.ensure === 'present' && (passwordSecret !== undefined || user.name === owner);
      const password = has ? passwords.get(user.name) : undefined;
      return { ...user, ...(password && { password }) };
    });
    const ownersPassword = passwords.get(owner);
    return {
      ...(again !== undefined && { again }),
      ...(replication && clone && { system: { replication, clone } }),
      users: [
        ...(users.some(({ name }) => name === owner) || !ownersPassword
          ? []
          : [{ name: owner, ensure: 'present' as const, password: ownersPassword }]),
        ...users,
      ],
      databases: spec.databases,
    };
  },
  declaredPasswords: (text) => {
    const { data } = MySQLDeclaration.safeParse(parsed(text));
    const users = (data?.users ?? []).flatMap(({ name, password }) => (password ? [[name, password] as const] : []));
    const { system } = data ?? {};
    return new Map([
      ...users,
      ...(system
        ? ([
            [systemRoles.replication, system.replication],
            [systemRoles.clone, system.clone],
          ] as const)
        : []),
    ]);
  },
  verifier: (password, seed) => Promise.resolve(cachingSha2Verifier(password, seed)),
  isVerifier,
  passwordProblem: (password) =>
    /^\*[0-9A-F]{40}$/.test(password)
      ? 'holds a hash of mysql_native_password, which MySQL has given up: write the password itself'
      : undefined,
};

/** Part of the container's memory that may be the buffer pool: with more the kernel kills the database, again and again. */
const mostOfMemory = 0.75;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
