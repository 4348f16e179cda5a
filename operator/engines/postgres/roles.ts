/** Roles: how they are, how they differ from what was asked for, and what brings them there. */
import type { DeclaredRole } from '../../api/postgres-declaration.ts';
import { identifier, literal, type Session } from './sql.ts';
import { inTransaction, type Note } from './transaction.ts';

export interface PresentRole {
  readonly attributes: Readonly<Record<Attribute, boolean>>;
  readonly connectionLimit: number;
  /** In seconds and UTC, as in 2027-01-31T00:00:00Z; or infinity. */
  readonly validUntil: string;
  readonly password: string | undefined;
  readonly comment: string | undefined;
  readonly memberOf: readonly string[];
}

const attributes = {
  login: ['LOGIN', 'NOLOGIN', 'rolcanlogin'],
  superuser: ['SUPERUSER', 'NOSUPERUSER', 'rolsuper'],
  createdb: ['CREATEDB', 'NOCREATEDB', 'rolcreatedb'],
  createrole: ['CREATEROLE', 'NOCREATEROLE', 'rolcreaterole'],
  replication: ['REPLICATION', 'NOREPLICATION', 'rolreplication'],
  bypassrls: ['BYPASSRLS', 'NOBYPASSRLS', 'rolbypassrls'],
  inherit: ['INHERIT', 'NOINHERIT', 'rolinherit'],
} as const;
type Attribute = keyof typeof attributes;
const attributeNames = Object.keys(attributes) as readonly Attribute[];

export async function rolesIn(session: Session): Promise<ReadonlyMap<string, PresentRole>> {
  const rows = await session.query(
    `SELECT r.*, r.rolpassword AS password,
            CASE WHEN r.rolvaliduntil IS NULL OR NOT isfinite(r.rolvaliduntil) THEN 'infinity'
                 ELSE to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END AS until,
            shobj_description(r.oid, 'pg_authid') AS comment,
            ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid WHERE m.member = r.oid) AS groups
       FROM pg_authid r`,
  );
  return new Map(
    rows.map((row) => [
      String(row['rolname']),
      {
        attributes: Object.fromEntries(
          attributeNames.map((name) => [name, row[attributes[name][2]] === true]),
        ) as PresentRole['attributes'],
        connectionLimit: Number(row['rolconnlimit']),
        validUntil: String(row['until']),
        password: (row['password'] as string | null) ?? undefined,
        comment: (row['comment'] as string | null) ?? undefined,
        memberOf: row['groups'] as readonly string[],
      },
    ]),
  );
}

/** The clauses of CREATE or ALTER ROLE that are needed, and how each difference reads. */
function differences(
  asked: DeclaredRole,
  present: PresentRole | undefined,
): readonly { readonly clause: string; readonly text: string }[] {
  const flags = attributeNames.flatMap((name) => {
    const [on, off] = attributes[name];
    const wanted = asked[name];
    if (wanted === undefined || wanted === present?.attributes[name]) return [];
    return [{ clause: wanted ? on : off, text: `is ${wanted ? off : on} but ${wanted ? on : off} was asked for` }];
  });
  const { connectionLimit, validUntil, password } = asked;
  const limit =
    connectionLimit === undefined || connectionLimit === present?.connectionLimit
      ? []
      : [
          {
            clause: `CONNECTION LIMIT ${connectionLimit}`,
            text: `has connection limit ${present?.connectionLimit ?? -1} but ${connectionLimit} was asked for`,
          },
        ];
  const moment = validUntil === undefined ? undefined : inUtc(validUntil);
  const until =
    moment === undefined || moment === (present?.validUntil ?? 'infinity')
      ? []
      : [
          {
            clause: `VALID UNTIL ${literal(moment)}`,
            text: `is valid until ${present?.validUntil ?? 'infinity'} but ${moment} was asked for`,
          },
        ];
  const secret =
    password === undefined || password.verifier === present?.password
      ? []
      : [{ clause: `PASSWORD ${literal(password.verifier)}`, text: 'has another password than its Secret' }];
  return [...flags, ...limit, ...until, ...secret];
}

const inUtc = (moment: string): string =>
  moment === 'infinity' ? moment : new Date(moment).toISOString().replace(/\.\d+Z$/, 'Z');

/** `before`: what was asked for last time; a membership that was asked for and isn't any more ends. */
export async function bringRole(
  session: Session,
  asked: DeclaredRole,
  present: PresentRole | undefined,
  before: string | undefined,
  note: Note,
): Promise<void> {
  const name = identifier(asked.name);
  const clauses = differences(asked, present).map(({ clause }) => clause);
  const wanted = asked.memberOf ?? [];
  const had = before === undefined ? [] : ((JSON.parse(before) as DeclaredRole).memberOf ?? []);
  const leaves = had.filter((group) => !wanted.includes(group) && present?.memberOf.includes(group));
  await inTransaction(session, [
    ...(present === undefined
      ? [`CREATE ROLE ${name} ${clauses.join(' ')}`]
      : clauses.length > 0
        ? [`ALTER ROLE ${name} ${clauses.join(' ')}`]
        : []),
    ...wanted
      .filter((group) => !present?.memberOf.includes(group))
      .map((group) => `GRANT ${identifier(group)} TO ${name}`),
    ...leaves.map((group) => `REVOKE ${identifier(group)} FROM ${name}`),
    ...(asked.comment === undefined || asked.comment === present?.comment
      ? []
      : [`COMMENT ON ROLE ${name} IS ${literal(asked.comment)}`]),
    note,
  ]);
}

export function roleDrift(asked: DeclaredRole, present: PresentRole | undefined): readonly string[] {
  if (!present) return ['has been dropped'];
  const missing = (asked.memberOf ?? []).filter((group) => !present.memberOf.includes(group));
  return [
    ...differences(asked, present).map(({ text }) => text),
    ...missing.map((group) => `is no member of ${group} any more`),
    ...(asked.comment === undefined || asked.comment === (present.comment ?? '') ? [] : ['has another comment']),
  ];
}

export async function setPassword(session: Session, name: string, verifier: string): Promise<void> {
  await session.query(`ALTER ROLE ${identifier(name)} PASSWORD ${literal(verifier)}`);
}

export async function dropRole(session: Session, name: string): Promise<void> {
  await session.query(`DROP ROLE ${identifier(name)}`);
}
