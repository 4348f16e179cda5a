/** Brings users and databases to what the custom resource says; the note of it is written last, so that what was cut short is done again. */
import type { Finding, InstanceName } from '../../api/cluster-state.ts';
import { credentialsDigest } from '../../api/declared-password.ts';
import { MySQLDeclaration } from '../../api/mysql-declaration.ts';
import { MainstayError } from '../../platform/errors.ts';
import { declaring, ledgerOf, type Kind, type Ledger, type Note } from '../declared.ts';
import { bringDatabase, databaseDrift, databasesIn, dropDatabase } from './databases.ts';
import { cloneAccount } from './names.ts';
import { errorNumber, textOf, type Session } from './sql.ts';
import { bringUser, dropUser, setPassword, userDrift, usersIn, type Change, type PresentUser } from './users.ts';

/** A change of an account waits until replicas acknowledge. */
class Unsafe extends Error {}

export async function declare(
  text: string,
  session: Session,
  /**
   * Replicas acknowledge now. A change of an account that waited for them would keep everybody from logging in, the replicas
   * included (mysql-lab.md §1).
   */
  isSafe: () => Promise<boolean>,
  lacking: (credentials: string) => readonly InstanceName[],
): Promise<readonly Finding[]> {
  const asked = MySQLDeclaration.parse(JSON.parse(text));
  const change: Change = async (statement) => {
    if (!(await isSafe())) throw new Unsafe();
    await session.query(statement);
  };
  // Whatever the user has set for all: our statements mean what they say, and wait for nobody's lock for long.
  await session.query(
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES', lock_wait_timeout = 5, sql_quote_show_create = ON",
  );
  const { one, attempt } = declaring(await readLedger(session, asked), asked.again, failure);
  const findings: Finding[] = [];

  const databases = await databasesIn(session);
  for (const database of asked.databases.filter(({ ensure }) => ensure === 'present')) {
    const present = databases.get(database.name);
    findings.push(
      ...(await one('database', database, {
        bringAbout: async (_, note) => {
          await bringDatabase(session, database, present);
          await writeNote(session, note);
        },
        drift: () => Promise.resolve(databaseDrift(database, present)),
      })),
    );
  }
  const users = await usersIn(session);
  for (const user of asked.users.filter(({ ensure }) => ensure === 'present')) {
    const present = users.get(user.name);
    findings.push(
      ...(await one('role', user, {
        bringAbout: async (before, note) => {
          await bringUser(session, change, user, present, before);
          await writeNote(session, note);
        },
        drift: () => userDrift(session, user, present),
      })),
    );
  }
  for (const { name } of asked.users.filter(({ ensure }) => ensure === 'absent'))
    if (users.has(name)) findings.push(...(await attempt('role', name, () => dropUser(session, change, name))));
  for (const { name } of asked.databases.filter(({ ensure }) => ensure === 'absent'))
    if (databases.has(name)) findings.push(...(await attempt('database', name, () => dropDatabase(session, name))));
  const { system } = asked;
  if (system) findings.push(...(await attempt('role', 'mainstay', () => bringSystem(change, users, system, lacking))));
  return findings;
}

/** Ours, and set whenever they differ; but only once everybody can log in by the new ones. */
async function bringSystem(
  change: Change,
  present: ReadonlyMap<string, PresentUser>,
  system: NonNullable<MySQLDeclaration['system']>,
  lacking: (credentials: string) => readonly InstanceName[],
): Promise<void> {
  const differ = [...present].flatMap(([name, user]) => {
    const wanted =
      name === cloneAccount
        ? system.clone
        : /^mainstay_(a?sync_\d+|group)$/.test(name)
          ? system.replication
          : undefined;
    return wanted && wanted.verifier !== user.verifier ? [{ name, wanted }] : [];
  });
  if (differ.length === 0) return;
  const late = lacking(credentialsDigest(system));
  if (late.length > 0)
    throw new Unsafe(
      `new passwords are set once ${late.join(', ')} can see them (the kubelet takes up to two minutes)`,
    );
  for (const { name, wanted } of differ) await setPassword(change, name, wanted.verifier);
}

async function readLedger(session: Session, asked: MySQLDeclaration): Promise<Ledger> {
  const [found] = await session.query(
    "SELECT 1 AS there FROM information_schema.tables WHERE table_schema = 'mainstay' AND table_name = 'declared'",
  );
  if (!found) {
    await session.query('CREATE DATABASE IF NOT EXISTS mainstay CHARACTER SET utf8mb4');
    await session.query(
      `CREATE TABLE IF NOT EXISTS mainstay.declared
         (kind varchar(16), name varchar(64) COLLATE utf8mb4_0900_bin, asked mediumtext NOT NULL, PRIMARY KEY (kind, name))
         COMMENT 'Notes of Mainstay: which users and databases of the custom resource were brought about'`,
    );
  }
  const rows = await session.query('SELECT kind, name, asked FROM mainstay.declared');
  const { ledger, forgotten } = ledgerOf(
    rows.map((row) => ({
      kind: textOf(row, 'kind') as Kind,
      name: textOf(row, 'name'),
      asked: textOf(row, 'asked'),
    })),
    { roles: asked.users, databases: asked.databases },
  );
  for (const { kind, name } of forgotten)
    await session.query('DELETE FROM mainstay.declared WHERE kind = ? AND name = ?', [kind, name]);
  return ledger;
}

async function writeNote(session: Session, { kind, name, asked }: Note): Promise<void> {
  await session.query('REPLACE INTO mainstay.declared (kind, name, asked) VALUES (?, ?, ?)', [kind, name, asked]);
}

/** What MySQL says, and what to do about it. Anything that is not its answer, or ours, is no finding but the end of this attempt. */
function failure(kind: Kind, name: string, error: unknown): Finding {
  if (error instanceof Unsafe)
    return { kind, name, state: 'waiting', text: error.message || 'is brought about when replicas acknowledge again' };
  if (error instanceof MainstayError && error.code === 'ConfigurationInvalid')
    return { kind, name, state: 'failed', text: error.message.slice(0, 700) };
  const number = errorNumber(error);
  if (number === undefined || !(error instanceof Error)) throw error;
  const remedy = remedies[number];
  const said = error.message.replace(/^MySQL: /, '');
  return { kind, name, state: 'failed', text: `${said}${remedy === undefined ? '' : `. ${remedy}`}`.slice(0, 700) };
}

const remedies: Readonly<Record<number, string>> = {
  1049: 'Declare the database as well, or correct the name',
  1115: 'Correct the name of the character set',
  1144: 'Some privileges are for databases only: remove table, or them',
  1146: 'The table must be there before anything is granted on it; it is tried again',
  1205: 'Somebody holds a lock on it; it is tried again',
  1273: 'Correct the name of the collation',
};
