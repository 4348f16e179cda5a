/** What users may do: what was asked for, and what SHOW GRANTS says, in the same words. */
import type { DeclaredUser } from '../../api/mysql-declaration.ts';
import { onDatabase, onTable } from '../../api/mysql-privileges.ts';
import { identifier } from './sql.ts';

type Grant = NonNullable<DeclaredUser['grants']>[number];

/** By where they are for, as GRANT writes it. */
export type Privileges = ReadonlyMap<string, ReadonlySet<string>>;

/** `_` and `%` in the name of a database mean any letters, but where partial revokes are on. */
export const databasePattern = (name: string, isLiteral: boolean): string =>
  identifier(isLiteral ? name : name.replaceAll(/[\\_%]/g, '\\$&'));

const whereOf = ({ database, table }: Grant, isLiteral: boolean): string =>
  database === '*'
    ? '*.*'
    : table === undefined
      ? `${databasePattern(database, isLiteral)}.*`
      : `${identifier(database)}.${identifier(table)}`;

const expanded = (privilege: string, where: string): readonly string[] =>
  privilege === 'ALL' || privilege === 'ALL PRIVILEGES' ? (where.endsWith('.*') ? onDatabase : onTable) : [privilege];

export const askedPrivileges = (grants: readonly Grant[], isLiteral: boolean): Privileges =>
  collected(
    grants.flatMap((grant) => {
      const where = whereOf(grant, isLiteral);
      return grant.privileges.map((privilege) => [where, privilege] as const);
    }),
  );

/** Lines as in "GRANT SELECT, INSERT ON `shop`.* TO `u`@`%`"; roles that were granted have no ON. */
export const heldPrivileges = (lines: readonly string[]): Privileges =>
  collected(
    lines.flatMap((line) => {
      const [, list = '', where = ''] = /^GRANT (.+) ON (.+) TO `/.exec(line) ?? [];
      // Of single columns, as in SELECT (`a`, `b`): nothing that is declared.
      const whole = list.replaceAll(/[A-Z][A-Z ]* \([^)]*\)(, )?/g, '');
      return whole
        .split(', ')
        .filter((privilege) => privilege !== '')
        .map((privilege) => [where, privilege] as const);
    }),
  );

function collected(pairs: readonly (readonly [where: string, privilege: string])[]): Privileges {
  const all = new Map<string, Set<string>>();
  for (const [where, privilege] of pairs) {
    const set = all.get(where) ?? new Set();
    for (const one of expanded(privilege, where)) set.add(one);
    all.set(where, set);
  }
  return all;
}

export const without = (from: Privileges, other: Privileges): Privileges =>
  collected(
    [...from].flatMap(([where, set]) =>
      [...set].filter((one) => !other.get(where)?.has(one)).map((one) => [where, one] as const),
    ),
  );

export const common = (a: Privileges, b: Privileges): Privileges => without(a, without(a, b));
