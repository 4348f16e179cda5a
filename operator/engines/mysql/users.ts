/** Users: how they are, how they differ from what was asked for, and what brings them there. */
import { DeclaredUser } from '../../api/mysql-declaration.ts';
import { MainstayError } from '../../platform/errors.ts';
import { askedPrivileges, common, heldPrivileges, without, type Privileges } from './grants.ts';
import { identifier, literal, textOf, type Session } from './sql.ts';

export interface PresentUser {
  /** Empty: nobody needs a password to be it. */
  readonly verifier: string;
  readonly locked: boolean;
  readonly requiresTls: boolean;
  readonly connectionLimit: number;
  readonly comment: string;
}

/** Carries out one change of an account, or refuses while it could wait for replicas. */
export type Change = (statement: string) => Promise<void>;

export async function usersIn(session: Session): Promise<ReadonlyMap<string, PresentUser>> {
  const rows = await session.query(
    `SELECT user AS name, CONVERT(authentication_string USING utf8mb4) AS verifier, account_locked AS locked, ssl_type AS tls,
            max_user_connections AS connections, JSON_UNQUOTE(JSON_EXTRACT(user_attributes, '$.metadata.comment')) AS comment
       FROM mysql.user WHERE host = '%'`,
  );
  return new Map(
    rows.map((row) => [
      textOf(row, 'name'),
      {
        verifier: textOf(row, 'verifier'),
        locked: textOf(row, 'locked') === 'Y',
        requiresTls: textOf(row, 'tls') !== '',
        connectionLimit: Number(textOf(row, 'connections')),
        comment: textOf(row, 'comment'),
      },
    ]),
  );
}

export const accountOf = (name: string): string => `${identifier(name)}@'%'`;

/** The clauses of CREATE or ALTER USER that are needed, in the order in which MySQL takes them, and how each difference reads. */
function differences(
  { password, locked, requireTls, connectionLimit, comment }: DeclaredUser,
  present: PresentUser | undefined,
): readonly { readonly clause: string; readonly text: string }[] {
  const verifier = password?.verifier ?? present?.verifier ?? '';
  // Who has a password may use it, unless it is said otherwise; who has none must never be let in.
  const wantsLock = verifier === '' || (locked ?? (password === undefined ? (present?.locked ?? true) : false));
  const all = [
    {
      differs: password !== undefined && password.verifier !== present?.verifier,
      clause: `IDENTIFIED WITH caching_sha2_password AS ${literal(verifier)}`,
      text: 'has another password than its Secret',
    },
    {
      differs: requireTls !== undefined && requireTls !== (present?.requiresTls ?? false),
      clause: `REQUIRE ${requireTls ? 'SSL' : 'NONE'}`,
      text: requireTls ? 'may log in without TLS' : 'may log in over TLS only',
    },
    {
      differs: connectionLimit !== undefined && connectionLimit !== (present?.connectionLimit ?? 0),
      clause: `WITH MAX_USER_CONNECTIONS ${connectionLimit ?? 0}`,
      text: `has connection limit ${present?.connectionLimit ?? 0} but ${connectionLimit ?? 0} was asked for`,
    },
    {
      differs: wantsLock !== (present?.locked ?? false),
      clause: `ACCOUNT ${wantsLock ? 'LOCK' : 'UNLOCK'}`,
      text: wantsLock ? 'is not locked' : 'is locked',
    },
    {
      differs: comment !== undefined && comment !== (present?.comment ?? ''),
      clause: `COMMENT ${literal(comment ?? '')}`,
      text: 'has another comment',
    },
  ];
  return all.filter(({ differs }) => differs);
}

/** `before`: what was asked for last time; a privilege that was asked for and isn't any more is revoked. */
export async function bringUser(
  session: Session,
  change: Change,
  asked: DeclaredUser,
  present: PresentUser | undefined,
  before: string | undefined,
): Promise<void> {
  const { name } = asked;
  const account = accountOf(name);
  const clauses = differences(asked, present).map(({ clause }) => clause);
  if (!present) await change(`CREATE USER ${account} ${clauses.join(' ')}`);
  else if (clauses.length > 0) await change(`ALTER USER ${account} ${clauses.join(' ')}`);
  const { wanted, held, isLiteral } = await privileges(session, asked);
  const former = askedPrivileges(before === undefined ? [] : (grantsIn(before) ?? []), isLiteral);
  for (const [where, set] of without(wanted, held)) await change(`GRANT ${listed(set)} ON ${where} TO ${account}`);
  for (const [where, set] of common(without(former, wanted), held))
    await change(`REVOKE ${listed(set)} ON ${where} FROM ${account}`);
  if (asked.locked === false && !asked.password && (present?.verifier ?? '') === '')
    throw new MainstayError('ConfigurationInvalid', 'has no password, so it stays locked: give it a passwordSecret');
}

const grantsIn = (before: string): DeclaredUser['grants'] => DeclaredUser.safeParse(JSON.parse(before)).data?.grants;

const listed = (set: ReadonlySet<string>): string => [...set].join(', ');

export async function userDrift(
  session: Session,
  asked: DeclaredUser,
  present: PresentUser | undefined,
): Promise<readonly string[]> {
  if (!present) return ['has been dropped'];
  const { wanted, held } = await privileges(session, asked);
  return [
    ...differences(asked, present).map(({ text }) => text),
    ...[...without(wanted, held)].map(([where, set]) => `may not ${listed(set)} on ${where} any more`),
  ];
}

interface Compared {
  readonly wanted: Privileges;
  readonly held: Privileges;
  readonly isLiteral: boolean;
}

async function privileges(session: Session, { name, grants = [] }: DeclaredUser): Promise<Compared> {
  if (grants.length === 0) {
    const held = heldPrivileges(await grantsOf(session, name));
    return { wanted: new Map(), held, isLiteral: await hasPartialRevokes(session) };
  }
  const isLiteral = await hasPartialRevokes(session);
  return { wanted: askedPrivileges(grants, isLiteral), held: heldPrivileges(await grantsOf(session, name)), isLiteral };
}

async function grantsOf(session: Session, name: string): Promise<readonly string[]> {
  const rows = await session.query(`SHOW GRANTS FOR ${accountOf(name)}`);
  return rows.flatMap((row) => Object.values(row).map(String));
}

export async function hasPartialRevokes(session: Session): Promise<boolean> {
  const [row] = await session.query('SELECT @@global.partial_revokes AS value');
  return Number(row?.['value']) === 1;
}

export async function setPassword(change: Change, name: string, verifier: string): Promise<void> {
  await change(`ALTER USER ${accountOf(name)} IDENTIFIED WITH caching_sha2_password AS ${literal(verifier)}`);
}

/** What runs in its name could not run any more: the agent's rights would let that happen. */
export async function dropUser(session: Session, change: Change, name: string): Promise<void> {
  const definer = literal(`${name}@%`);
  const rows = await session.query(
    `SELECT CONCAT('view ', table_schema, '.', table_name) AS what FROM information_schema.views WHERE definer = ${definer}
     UNION ALL SELECT CONCAT(LOWER(routine_type), ' ', routine_schema, '.', routine_name) FROM information_schema.routines WHERE definer = ${definer}
     UNION ALL SELECT CONCAT('trigger ', trigger_schema, '.', trigger_name) FROM information_schema.triggers WHERE definer = ${definer}
     UNION ALL SELECT CONCAT('event ', event_schema, '.', event_name) FROM information_schema.events WHERE definer = ${definer}`,
  );
  if (rows.length > 0)
    throw new MainstayError(
      'ConfigurationInvalid',
      `${rows
        .slice(0, 5)
        .map((row) => textOf(row, 'what'))
        .join(', ')}${rows.length > 5 ? ` and ${rows.length - 5} more` : ''} ` +
        'run in its name: drop them or give them another definer; it is then dropped by itself',
    );
  await change(`DROP USER ${accountOf(name)}`);
}
