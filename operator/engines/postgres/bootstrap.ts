/** The first data directory of a cluster. */
import { readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Definition } from '../../api/cluster-state.ts';
import { command } from './command.ts';
import { syncDirectory } from './config.ts';
import { newWalDirectory, type Layout } from './layout.ts';
import { replicationRole, rewindRole } from './names.ts';
import { forgetSocketOwner } from './process.ts';
import { discard } from './rejoin.ts';
import { identifier, literal, withSession } from './sql.ts';

/** initdb beside `data`, roles and the application's database, a clean stop, then one rename: whole or not at all. */
export async function initialize(definition: Definition, layout: Layout, signal: AbortSignal): Promise<void> {
  await discard(layout.incoming);
  const wal = newWalDirectory(layout);
  await command(
    join(layout.bin, 'initdb'),
    [
      ...['-D', layout.incoming, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--data-checksums'],
      ...['--auth-local=peer', '--auth-host=scram-sha-256', '--no-instructions'],
      ...(wal === undefined ? [] : [`--waldir=${wal}`]),
    ],
    { signal },
  );
  const control = (...args: string[]): Promise<string> =>
    command(join(layout.bin, 'pg_ctl'), ['-D', layout.incoming, '-w', '-s', ...args], { signal });
  await forgetSocketOwner(layout);
  const options = `-c listen_addresses= -c unix_socket_directories=${layout.run}`;
  await control('-o', options, '-l', '/dev/null', 'start');
  try {
    await makeRoles(definition, layout, signal);
  } finally {
    await control('-m', 'fast', 'stop');
  }
  await rename(layout.incoming, layout.data);
  await syncDirectory(dirname(layout.data));
}

async function makeRoles(definition: Definition, layout: Layout, signal: AbortSignal): Promise<void> {
  const secret = async (directory: string, key: string): Promise<string> =>
    (await readFile(join(directory, key), 'utf8')).trim();
  const { database, owner } = definition.application;
  const password = {
    replication: await secret(layout.systemSecrets, 'replication-password'),
    rewind: await secret(layout.systemSecrets, 'rewind-password'),
    owner: await secret(layout.applicationSecrets, 'password'),
  };
  await withSession(layout.run, 30_000, signal, async (session) => {
    await session.query(`CREATE ROLE ${replicationRole} LOGIN REPLICATION PASSWORD ${literal(password.replication)}`);
    await session.query(`CREATE ROLE ${rewindRole} LOGIN PASSWORD ${literal(password.rewind)}`);
    // What pg_rewind needs from its source without being superuser (pg-lab.md §7).
    for (const signature of [
      'pg_ls_dir(text, boolean, boolean)',
      'pg_stat_file(text, boolean)',
      'pg_read_binary_file(text)',
      'pg_read_binary_file(text, bigint, bigint, boolean)',
    ])
      await session.query(`GRANT EXECUTE ON FUNCTION pg_catalog.${signature} TO ${rewindRole}`);
    await session.query(`CREATE ROLE ${identifier(owner)} LOGIN PASSWORD ${literal(password.owner)}`);
    await session.query(`CREATE DATABASE ${identifier(database)} OWNER ${identifier(owner)}`);
  });
}
