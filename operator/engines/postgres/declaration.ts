import type { DeclaredPassword } from '../../api/declared-password.ts';
import type { PostgresCluster } from '../../api/postgres-cluster.ts';
import type { DeclaredRole, PostgresDeclaration } from '../../api/postgres-declaration.ts';
import { systemRoles } from './names.ts';

/** What shall be inside the database. `passwords` by role; one that isn't known is left as it is. */
export function declarationFor(
  { spec }: PostgresCluster,
  passwords: ReadonlyMap<string, DeclaredPassword>,
  again?: string,
): PostgresDeclaration {
  const { owner } = spec.application;
  const [replication, rewind] = [passwords.get(systemRoles.replication), passwords.get(systemRoles.rewind)];
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
  { name, ensure, owner }: PostgresCluster['spec']['databases'][number],
  application: PostgresCluster['spec']['application'],
): string | undefined {
  return ensure === 'absent' || name === 'postgres' ? undefined : (owner ?? application.owner);
}
