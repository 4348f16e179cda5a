/** Brings about what the operator has declared, on a primary. */
import type { Finding } from '../../api/cluster-state.ts';
import { MySQLDeclaration, type DeclaredUser } from '../../api/mysql-declaration.ts';
import { identifier, literal, textOf, type Session } from './sql.ts';

/**
 * `isSafe`: replicas acknowledge now. An account's change that waited for them would keep everybody from logging in, the
 * replicas included (mysql-lab.md §1).
 */
export async function declare(session: Session, text: string, isSafe: boolean): Promise<readonly Finding[]> {
  const { users } = MySQLDeclaration.parse(JSON.parse(text));
  const findings: Finding[] = [];
  for (const user of users) {
    if (!user.password || (await isAsDeclared(session, user.name, user.password.verifier))) continue;
    if (isSafe) findings.push(...(await setPassword(session, user)));
    else findings.push({ ...about(user), state: 'waiting', text: 'gets its password when replicas acknowledge again' });
  }
  return findings;
}

const about = ({ name }: DeclaredUser) => ({ kind: 'role', name }) as const;

async function isAsDeclared(session: Session, name: string, verifier: string): Promise<boolean> {
  const [row] = await session.query(
    "SELECT authentication_string AS verifier, account_locked AS locked FROM mysql.user WHERE user = ? AND host = '%'",
    [name],
  );
  return textOf(row, 'verifier') === verifier && textOf(row, 'locked') === 'N';
}

async function setPassword(session: Session, user: DeclaredUser): Promise<readonly Finding[]> {
  const account = `${identifier(user.name)}@'%'`;
  const verifier = literal(user.password?.verifier ?? '');
  try {
    await session.query(`CREATE USER IF NOT EXISTS ${account} ACCOUNT LOCK`);
    await session.query(
      `ALTER USER ${account} IDENTIFIED WITH caching_sha2_password AS ${verifier} PASSWORD EXPIRE NEVER ACCOUNT UNLOCK`,
    );
    return [];
  } catch (error) {
    return [{ ...about(user), state: 'failed', text: error instanceof Error ? error.message : String(error) }];
  }
}
