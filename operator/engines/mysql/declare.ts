/**
 * Brings passwords of users to what is declared. What was once brought about is noted in the user's own attributes, by the same
 * statement: a difference without a new wish is somebody else's work, which is told and left alone.
 */
import type { Finding, InstanceName } from '../../api/cluster-state.ts';
import { credentialsDigest, type DeclaredPassword } from '../../api/declared-password.ts';
import { MySQLDeclaration } from '../../api/mysql-declaration.ts';
import { cloneAccount } from './names.ts';
import { identifier, literal, textOf, type Session } from './sql.ts';

interface PresentUser {
  readonly verifier: string;
  readonly locked: boolean;
  /** What was asked for when it was last brought about. */
  readonly note: string;
}

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
  const { users, system, again = '' } = MySQLDeclaration.parse(JSON.parse(text));
  const present = await usersIn(session);
  const findings: Finding[] = [];
  for (const { name, password } of users) {
    if (!password) continue;
    try {
      findings.push(...(await bringPassword(session, isSafe, name, present.get(name), password, again)));
    } catch (error) {
      findings.push({
        kind: 'role',
        name,
        state: 'failed',
        text: error instanceof Error ? error.message : String(error),
      });
    }
  }
  if (system) findings.push(...(await bringSystem(session, isSafe, present, system, lacking)));
  return findings;
}

async function bringPassword(
  session: Session,
  isSafe: () => Promise<boolean>,
  name: string,
  user: PresentUser | undefined,
  { verifier, revision }: DeclaredPassword,
  again: string,
): Promise<readonly Finding[]> {
  const note = `${revision} ${again}`.trim();
  if (user?.verifier === verifier && !user.locked) return [];
  if (user?.note === note)
    return [
      {
        kind: 'role',
        name,
        state: 'drifted',
        text: `The password of ${name} was changed, or the account locked, in the database: change it in its Secret, or set it back`,
      },
    ];
  if (!(await isSafe())) return [waiting(name, `The password of ${name} waits until replicas acknowledge again`)];
  if (!user) await session.query(`CREATE USER ${identifier(name)}@'%' ACCOUNT LOCK`);
  await setPassword(session, name, verifier, note);
  return [];
}

async function bringSystem(
  session: Session,
  isSafe: () => Promise<boolean>,
  present: ReadonlyMap<string, PresentUser>,
  system: NonNullable<MySQLDeclaration['system']>,
  lacking: (credentials: string) => readonly InstanceName[],
): Promise<readonly Finding[]> {
  const differ = [...present].flatMap(([name, user]) => {
    const wanted =
      name === cloneAccount ? system.clone : /^mainstay_a?sync_\d+$/.test(name) ? system.replication : undefined;
    return wanted && wanted.verifier !== user.verifier ? [{ name, wanted }] : [];
  });
  if (differ.length === 0) return [];
  const late = lacking(credentialsDigest(system));
  if (late.length > 0)
    return [
      waiting('mainstay', `New passwords among the instances wait until ${late.join(', ')} have been given them`),
    ];
  if (!(await isSafe()))
    return [waiting('mainstay', 'New passwords among the instances wait until replicas acknowledge again')];
  for (const { name, wanted } of differ) await setPassword(session, name, wanted.verifier, wanted.revision);
  return [];
}

const waiting = (name: string, text: string): Finding => ({ kind: 'role', name, state: 'waiting', text });

async function setPassword(session: Session, name: string, verifier: string, note: string): Promise<void> {
  await session.query(
    `ALTER USER ${identifier(name)}@'%' IDENTIFIED WITH caching_sha2_password AS ${literal(verifier)} ACCOUNT UNLOCK
     ATTRIBUTE ${literal(JSON.stringify({ mainstay: note }))}`,
  );
}

async function usersIn(session: Session): Promise<ReadonlyMap<string, PresentUser>> {
  const rows = await session.query(
    `SELECT user AS name, CONVERT(authentication_string USING utf8mb4) AS verifier, account_locked AS locked,
            JSON_UNQUOTE(JSON_EXTRACT(user_attributes, '$.metadata.mainstay')) AS note
       FROM mysql.user WHERE host = '%'`,
  );
  return new Map(
    rows.map((row) => [
      textOf(row, 'name'),
      { verifier: textOf(row, 'verifier'), locked: textOf(row, 'locked') === 'Y', note: textOf(row, 'note') },
    ]),
  );
}
