/** The first data directory of a cluster. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Definition } from '../../api/cluster-state.ts';
import type { Clock } from '../../platform/clock.ts';
import { command } from '../command.ts';
import { replaceFile, syncDirectory } from '../files.ts';
import { makeAccounts } from './accounts.ts';
import { mountedPasswords } from './credentials.ts';
import { databasePattern } from './grants.ts';
import { systemFile, type Layout } from './layout.ts';
import { newSystemIdentifier } from './names.ts';
import { killServer, startServer, untilConnectable } from './process.ts';
import type { ServerLog } from './server-log.ts';
import { identifier, localAgent, withSession } from './sql.ts';

/** Data that count only once they are whole need not be forced to the disk before: it takes three times as long. */
const unforced = ['--innodb-flush-method=nosync', '--skip-innodb-doublewrite', '--innodb-flush-log-at-trx-commit=0'];

/** A server that nobody can reach but over the socket, and whose changes are in no binary log: they are in every copy. */
export const alone = [
  '--skip-networking',
  '--skip-log-bin',
  '--skip-log-replica-updates',
  '--read-only=OFF',
  '--super-read-only=OFF',
  ...unforced,
];

/** Empty data, not forced to the disk yet. */
export const makeData = (data: string, { mysqld }: Layout, signal: AbortSignal): Promise<string> =>
  command(
    mysqld,
    ['--no-defaults', '--initialize-insecure', `--datadir=${data}`, '--auto-generate-certs=OFF', ...unforced],
    { signal },
  );

/** By the option file that is there. Made beside `data`, stopped, then renamed: whole or not at all. What an attempt before has left is thrown away. */
export async function initialize(
  definition: Definition,
  layout: Layout,
  clock: Clock,
  log: ServerLog,
  signal: AbortSignal,
): Promise<void> {
  await rm(layout.incoming, { recursive: true, force: true });
  await makeData(layout.incoming, layout, signal);
  const systemIdentifier = newSystemIdentifier();
  const server = await startServer(layout, clock, log.tell, { data: layout.incoming, options: alone });
  try {
    await untilConnectable(server, layout, clock, log.lastWords, signal, 'root');
    await withSession(localAgent(layout, 'root'), 60_000, signal, async (session) => {
      const passwords = await mountedPasswords(layout);
      await makeAccounts(session, definition.instances, passwords, systemIdentifier, definition.group !== undefined);
      const { database, owner } = definition.application;
      await session.query(`CREATE DATABASE ${identifier(database)}`);
      // Without a password it would be open to everybody; it has one as soon as the operator has declared it.
      await session.query(`CREATE USER ${identifier(owner)}@'%' ACCOUNT LOCK`);
      await session.query(`GRANT ALL ON ${databasePattern(database, false)}.* TO ${identifier(owner)}@'%'`);
    });
    server.signal('SIGTERM');
    await Promise.race([server.exited, clock.sleep(30_000, signal)]);
  } finally {
    await killServer(server, layout, clock);
  }
  await command('sync', ['--file-system', layout.incoming], { signal });
  await writeFile(systemFile(layout.incoming), `${systemIdentifier}\n`, { flush: true });
  await replaceFile(layout.initialized, `${systemIdentifier}\n`);
  await rename(layout.incoming, layout.data);
  await syncDirectory(dirname(layout.data));
}
