import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { DeclaredPassword, DeclaredRole, PostgresDeclaration } from '../api/postgres-declaration.ts';
import { annotations } from './labels.ts';
import { secretNames } from './names.ts';

/** A password that a role of the cluster goes by, and where it stands. */
export interface PasswordPlace {
  readonly role: string;
  readonly secret: string;
  readonly key: string;
}

/** Roles of the connections among the instances; operator/engines/postgres/names.ts has the same. */
export const systemRoles = { replication: 'mainstay_replication', rewind: 'mainstay_rewind' } as const;

/** Every password that the cluster goes by. */
export function passwordPlaces({ metadata, spec }: DatabaseCluster): readonly PasswordPlace[] {
  const { owner, passwordSecret } = spec.application;
  const system = secretNames.system(metadata.name);
  return [
    {
      role: owner,
      secret: passwordSecret?.name ?? secretNames.application(metadata.name),
      key: passwordSecret?.key ?? 'password',
    },
    { role: systemRoles.replication, secret: system, key: 'replication-password' },
    { role: systemRoles.rewind, secret: system, key: 'rewind-password' },
    ...spec.roles.flatMap(({ name, ensure, passwordSecret: own }) =>
      own === undefined || ensure === 'absent' ? [] : [{ role: name, secret: own.name, key: own.key }],
    ),
  ];
}

/** What shall be inside the database. `passwords` by role; one that isn't known is left as it is. */
export function declarationFor(
  { metadata, spec }: DatabaseCluster,
  passwords: ReadonlyMap<string, DeclaredPassword>,
): PostgresDeclaration {
  const { owner } = spec.application;
  const [replication, rewind] = [passwords.get(systemRoles.replication), passwords.get(systemRoles.rewind)];
  const again = metadata.annotations?.[annotations.applyAgain];
  const roles = spec.roles.map(({ passwordSecret, ...role }): DeclaredRole => {
    const has = role.ensure === 'present' && (passwordSecret !== undefined || role.name === owner);
    const password = has ? passwords.get(role.name) : undefined;
    return { ...role, ...(password && { password }) };
  });
  const ownersPassword = passwords.get(owner);
  return {
    ...(again !== undefined && { again }),
    ...(replication && rewind && { system: { replication, rewind } }),
    roles: [
      ...(roles.some(({ name }) => name === owner) || !ownersPassword
        ? []
        : [{ name: owner, ensure: 'present' as const, password: ownersPassword }]),
      ...roles,
    ],
    databases: spec.databases.map((database) => {
      const role = ownerOf(database, spec.application);
      return { ...database, ...(role !== undefined && { owner: role }) };
    }),
  };
}

/** The application's owner, unless another is named; nobody's for what is to go, or belongs to the server. */
function ownerOf(
  { name, ensure, owner }: DatabaseCluster['spec']['databases'][number],
  application: DatabaseCluster['spec']['application'],
): string | undefined {
  return ensure === 'absent' || name === 'postgres' ? undefined : (owner ?? application.owner);
}
