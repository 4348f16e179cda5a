/** Our own accounts: the agent's, one to clone with, and two for each instance to replicate with. */
import { userInfo } from 'node:os';
import type { InstanceName } from '../../api/cluster-state.ts';
import type { Passwords } from './credentials.ts';
import { agentAccount, asyncAccount, cloneAccount, groupAccount, syncAccount } from './names.ts';
import { identifier, literal, textOf, type Session } from './sql.ts';

/** Of new data: nobody gets in from the network but by what is made here; root only as the agent does. */
export async function makeAccounts(
  session: Session,
  instances: readonly InstanceName[],
  passwords: Passwords,
  systemIdentifier: string,
  inGroup: boolean,
): Promise<void> {
  const me = literal(userInfo().username);
  await session.query(`CREATE USER ${agentAccount}@localhost IDENTIFIED WITH auth_socket AS ${me}`);
  await session.query(`GRANT ALL ON *.* TO ${agentAccount}@localhost WITH GRANT OPTION`);
  await session.query(`ALTER USER root@localhost IDENTIFIED WITH auth_socket AS ${me}`);
  // Whoever clones from here knows by it whose data they are, even before the first marker is acknowledged.
  const attribute = literal(JSON.stringify({ system: systemIdentifier }));
  await session.query(
    `CREATE USER ${cloneAccount}@'%' IDENTIFIED BY ${literal(passwords.clone)} ATTRIBUTE ${attribute}`,
  );
  await session.query(`GRANT BACKUP_ADMIN ON *.* TO ${cloneAccount}@'%'`);
  // Members of a group are all alike: the group counts their votes, not their accounts.
  if (inGroup) return makeGroupAccount(session, passwords);
  for (const instance of instances) await makeInstanceAccounts(session, instance, passwords);
}

/** With CONNECTION_ADMIN: clients that take up every connection must not keep members from each other. */
async function makeGroupAccount(session: Session, { replication }: Passwords): Promise<void> {
  const name = `${groupAccount}@'%'`;
  await session.query(`CREATE USER ${name} IDENTIFIED BY ${literal(replication)} PASSWORD EXPIRE NEVER`);
  await session.query(`GRANT REPLICATION SLAVE, CONNECTION_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO ${name}`);
}

/** Without CONNECTION_ADMIN, with which they would pass the gate, and without an end to their passwords. */
async function makeInstanceAccounts(session: Session, instance: InstanceName, passwords: Passwords): Promise<void> {
  for (const account of [syncAccount(instance), asyncAccount(instance)]) {
    await session.query(
      `CREATE USER IF NOT EXISTS ${account}@'%' IDENTIFIED BY ${literal(passwords.replication)} PASSWORD EXPIRE NEVER`,
    );
    await session.query(`GRANT REPLICATION SLAVE ON *.* TO ${account}@'%'`);
  }
}

/**
 * Of a new instance; and from when every instance has a certificate, ours alone gets in with them: `subject`. Where commits are
 * acknowledged, since one that waited would keep everybody from logging in (mysql-lab.md §1).
 */
export async function keepAccounts(
  session: Session,
  instances: readonly InstanceName[],
  passwords: () => Promise<Passwords>,
  subject: string | undefined,
): Promise<void> {
  const rows = await session.query(
    `SELECT user, CONVERT(x509_subject USING utf8mb4) AS subject FROM mysql.user
      WHERE host = '%' AND (user IN (${literal(cloneAccount)}, ${literal(groupAccount)}) OR user LIKE 'mainstay\\\\_%sync\\\\_%')`,
  );
  const there = new Map(rows.map((row) => [textOf(row, 'user'), textOf(row, 'subject')]));
  for (const instance of instances)
    if (!there.has(syncAccount(instance)) || !there.has(asyncAccount(instance)))
      await makeInstanceAccounts(session, instance, await passwords());
  if (subject === undefined) return;
  for (const [account, required] of there)
    if (required !== subject)
      await session.query(`ALTER USER ${identifier(account)}@'%' REQUIRE SUBJECT ${literal(subject)}`);
}
