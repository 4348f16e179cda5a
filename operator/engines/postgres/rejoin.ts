/** A replica's way back into the primary's history: pg_rewind, else a clone beside the old data. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Member } from '../../api/cluster-state.ts';
import { command } from './command.ts';
import { configFile, replaceFile, syncDirectory, writePasswordFile } from './config.ts';
import type { Layout } from './layout.ts';
import { replicationRole, rewindRole } from './names.ts';

/** The server must have ended. A mark stays if this is interrupted: half-rewound data looks healthy to everything else. */
export async function rewind(primary: Member, layout: Layout, signal: AbortSignal): Promise<void> {
  const passfile = await writePasswordFile(layout);
  await replaceFile(layout.rewinding, `${new URL(`tcp://${primary.address}:${primary.databasePort}`).host}\n`);
  // pg_rewind runs a single-user server for an unclean directory, which refuses standby mode.
  await rm(join(layout.data, 'standby.signal'), { force: true });
  await command(
    join(layout.bin, 'pg_rewind'),
    [
      `--target-pgdata=${layout.data}`,
      `--config-file=${configFile(layout)}`,
      `--source-server=host=${primary.address} port=${primary.databasePort} user=${rewindRole} dbname=postgres connect_timeout=3`,
    ],
    { signal, env: { PGPASSFILE: passfile } },
  );
  await rm(layout.rewinding, { force: true });
  await syncDirectory(dirname(layout.rewinding));
}

/** A fresh copy beside the old data, which stays until `discardFormer`. */
export async function clone(primary: Member, layout: Layout, signal: AbortSignal): Promise<void> {
  const passfile = await writePasswordFile(layout);
  await rm(layout.incoming, { recursive: true, force: true });
  await command(
    join(layout.bin, 'pg_basebackup'),
    [
      ...['-h', primary.address, '-p', String(primary.databasePort), '-U', replicationRole],
      ...['-D', layout.incoming, '-X', 'stream', '--checkpoint=fast', '--no-password'],
    ],
    { signal, env: { PGPASSFILE: passfile, PGCONNECT_TIMEOUT: '3' } },
  );
  await writeFile(join(layout.incoming, 'standby.signal'), '');
  // An even older copy than the one that is about to be replaced serves nobody.
  if (await exists(layout.data)) {
    await rm(layout.former, { recursive: true, force: true });
    await rename(layout.data, layout.former);
  }
  await rename(layout.incoming, layout.data);
  await rm(layout.rewinding, { force: true });
  await syncDirectory(dirname(layout.data));
}

export async function discardFormer(layout: Layout): Promise<void> {
  await rm(layout.former, { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  const { stat } = await import('node:fs/promises');
  return stat(path).then(
    () => true,
    () => false,
  );
}
