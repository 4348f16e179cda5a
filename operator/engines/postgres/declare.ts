/** Brings roles and databases to what the custom resource says; the note of it is written in the same transaction. */
import pg from 'pg';
import type { Finding, InstanceName } from '../../api/cluster-state.ts';
import { credentialsDigest } from '../../api/declared-password.ts';
import { PostgresDeclaration, type DeclaredRole } from '../../api/postgres-declaration.ts';
import { declaring, ledgerOf, type Kind, type Ledger, type Note } from '../declared.ts';
import { bringDatabase, databaseDrift, databasesIn, dropDatabase, type PresentDatabase } from './databases.ts';
import { replicationRole, rewindRole } from './names.ts';
import { bringRole, dropRole, roleDrift, rolesIn, setPassword, type PresentRole } from './roles.ts';
import { literal, type Session } from './sql.ts';
import type { Note as Statement } from './transaction.ts';

/** Sessions of the superuser in a database of that name. */
export type Sessions = <T>(database: string, use: (session: Session) => Promise<T>) => Promise<T>;

export async function declare(
  text: string,
  sessions: Sessions,
  lacking: (credentials: string) => readonly InstanceName[],
): Promise<readonly Finding[]> {
  const asked = PostgresDeclaration.parse(JSON.parse(text));
  const findings: Finding[] = [];
  const ownSession = (use: (session: Session) => Promise<void>): Promise<void> =>
    sessions('postgres', async (session) => {
      await prepare(session);
      await use(session);
    });

  await ownSession(async (session) => {
    const { one, attempt } = declaring(await readLedger(session, asked), asked.again, failure);
    const roles = await rolesIn(session);
    findings.push(...(await declareSystem(session, asked, roles, lacking, attempt)));
    for (const role of inOrder(asked.roles.filter(({ ensure }) => ensure === 'present')))
      findings.push(
        ...(await one('role', role, {
          bringAbout: (before, note) => bringRole(session, role, roles.get(role.name), before, noteOf(note)),
          drift: () => Promise.resolve(roleDrift(role, roles.get(role.name))),
        })),
      );

    const databases = await databasesIn(session);
    const inside = <T>(name: string, use: (session: Session) => Promise<T>): Promise<T> =>
      sessions(name, async (other) => {
        await prepare(other);
        return use(other);
      });
    for (const database of asked.databases.filter(({ ensure }) => ensure === 'present')) {
      const present: PresentDatabase | undefined = databases.get(database.name);
      findings.push(
        ...(await one('database', database, {
          bringAbout: (before, note) => bringDatabase(session, inside, database, present, before, noteOf(note)),
          drift: () => databaseDrift(inside, database, present),
        })),
      );
    }
    for (const { name } of asked.databases.filter(({ ensure }) => ensure === 'absent'))
      if (databases.has(name)) findings.push(...(await attempt('database', name, () => dropDatabase(session, name))));
    for (const { name } of asked.roles.filter(({ ensure }) => ensure === 'absent'))
      if (roles.has(name)) findings.push(...(await attempt('role', name, () => dropRole(session, name))));
  });
  return findings;
}

/** Sessions that do no more than they should, whatever a database's owner has set for it; no verifier in a log, no waiting for replicas. */
async function prepare(session: Session): Promise<void> {
  await session.query(
    `SET SESSION AUTHORIZATION DEFAULT; SET ROLE NONE; SET search_path = pg_catalog, pg_temp;
     SET synchronous_commit = local; SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed';
     SET statement_timeout = '60s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s';
     SET log_statement = none; SET log_min_duration_statement = -1; SET log_min_error_statement = panic`,
  );
}

const noteOf = ({ kind, name, asked }: Note): Statement =>
  `INSERT INTO mainstay.declared (kind, name, asked) VALUES (${literal(kind)}, ${literal(name)}, ${literal(asked)})
     ON CONFLICT (kind, name) DO UPDATE SET asked = excluded.asked`;

async function readLedger(session: Session, asked: PostgresDeclaration): Promise<Ledger> {
  const [row] = await session.query("SELECT to_regclass('mainstay.declared') AS ledger");
  if (row?.['ledger'] === null)
    await session.query(
      `CREATE SCHEMA IF NOT EXISTS mainstay;
       CREATE TABLE mainstay.declared (kind text, name text, asked text NOT NULL, PRIMARY KEY (kind, name));
       COMMENT ON SCHEMA mainstay IS 'Notes of Mainstay: which roles and databases of the custom resource were brought about'`,
    );
  const rows = await session.query('SELECT kind, name, asked FROM mainstay.declared');
  const { ledger, forgotten } = ledgerOf(
    rows.map((one) => ({
      kind: String(one['kind']) as Kind,
      name: String(one['name']),
      asked: String(one['asked']),
    })),
    asked,
  );
  for (const { kind, name } of forgotten)
    await session.query('DELETE FROM mainstay.declared WHERE kind = $1 AND name = $2', [kind, name]);
  return ledger;
}

/** Ours, and set whenever they differ; but only once everybody can log in by the new ones. */
async function declareSystem(
  session: Session,
  { system }: PostgresDeclaration,
  roles: ReadonlyMap<string, PresentRole>,
  lacking: (credentials: string) => readonly InstanceName[],
  attempt: ReturnType<typeof declaring>['attempt'],
): Promise<readonly Finding[]> {
  if (!system) return [];
  const wanted = [
    [replicationRole, system.replication.verifier],
    [rewindRole, system.rewind.verifier],
  ] as const;
  const different = wanted.filter(([name, verifier]) => roles.get(name)?.password !== verifier);
  if (different.length === 0) return [];
  const missing = lacking(credentialsDigest(system));
  if (missing.length > 0)
    return different.map(([name]) => ({
      kind: 'role',
      name,
      state: 'waiting',
      text: `its new password is set once ${missing.join(', ')} can see it (the kubelet takes up to two minutes)`,
    }));
  const done = await Promise.all(
    different.map(([name, verifier]) => attempt('role', name, () => setPassword(session, name, verifier))),
  );
  return done.flat();
}

/** Members after the roles that they are members of. */
function inOrder(roles: readonly DeclaredRole[]): readonly DeclaredRole[] {
  const byName = new Map(roles.map((role) => [role.name, role]));
  const ordered = new Set<DeclaredRole>();
  const visiting = new Set<string>();
  const visit = (role: DeclaredRole): void => {
    if (visiting.has(role.name)) return; // a circle: PostgreSQL says so better
    visiting.add(role.name);
    for (const group of role.memberOf ?? []) {
      const declared = byName.get(group);
      if (declared) visit(declared);
    }
    ordered.add(role);
  };
  for (const role of roles) visit(role);
  return [...ordered];
}

/** What PostgreSQL says, and what to do about it. Anything that is not its answer is no finding but the end of this attempt. */
function failure(kind: Kind, name: string, error: unknown): Finding {
  const answer = error instanceof Error && error.cause instanceof pg.DatabaseError ? error.cause : error;
  if (!(answer instanceof pg.DatabaseError)) throw error;
  const parts = [answer.message, answer.detail, answer.hint].filter((part) => part !== undefined);
  const said = parts.map((part) => part.replaceAll('\n', '; ').replace(/\.$/, '')).join('. ');
  const remedy = remedies[answer.code ?? '']?.(kind, name);
  return { kind, name, state: 'failed', text: `${said}${remedy === undefined ? '' : `. ${remedy}`}`.slice(0, 700) };
}

const remedies: Readonly<Record<string, (kind: Kind, name: string) => string>> = {
  '2BP01': (kind, name) =>
    kind === 'role'
      ? `In each database named: REASSIGN OWNED BY "${name}" TO …; DROP OWNED BY "${name}"; it is then dropped by itself`
      : 'Remove what depends on it first; it is then dropped by itself',
  '42704': () => 'Declare it as well, or correct the name',
  '3F000': () => 'Add the schema to the list, or correct the name',
  '0A000': () => 'Use an image that holds it, or remove it from the list',
  '58P01': () => 'Use an image that holds it, or remove it from the list',
  '55006': (kind) =>
    kind === 'database' ? 'End the sessions that use it; it is then done by itself' : 'It is tried again',
  '55P03': () => 'Somebody holds a lock on it; it is tried again',
  '57014': () => 'It took too long and is tried again',
};
