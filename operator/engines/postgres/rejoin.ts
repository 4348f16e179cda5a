/** A replica's way back into the primary's history: pg_rewind, else a clone beside the old data. */
import { access, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Definition, Member } from '../../api/cluster-state.ts';
import { secured } from './certificates.ts';
import { command } from './command.ts';
import { configFile, replaceFile, syncDirectory, writePasswordFile } from './config.ts';
import type { Layout } from './layout.ts';
import { replicationRole, rewindRole } from './names.ts';

/** A source that loses power must end the copy in seconds, not in the hours that TCP takes by itself. */
const brokenLinks =
  'connect_timeout=3 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=5000';

/** The server must have ended. A mark stays if this is interrupted: half-rewound data looks healthy to everything else. */
export async function rewind(
  primary: Member,
  definition: Definition,
  layout: Layout,
  signal: AbortSignal,
): Promise<void> {
  const passfile = await writePasswordFile(layout);
  await replaceFile(layout.rewinding, `${new URL(`tcp://${primary.address}:${primary.databasePort}`).host}\n`);
  // pg_rewind runs a single-user server for an unclean directory, which refuses standby mode.
  await rm(join(layout.data, 'standby.signal'), { force: true });
  await command(
    join(layout.bin, 'pg_rewind'),
    [
      `--target-pgdata=${layout.data}`,
      `--config-file=${configFile(layout)}`,
      `--source-server=host=${primary.address} port=${primary.databasePort} user=${rewindRole} dbname=postgres ${brokenLinks} ${secured(layout, definition)}`,
    ],
    { signal, env: { PGPASSFILE: passfile } },
  );
  await rename(layout.rewinding, layout.rewound);
  await syncDirectory(dirname(layout.rewound));
}

/** A rewound server that has not become consistent is as unusable as a half-rewound one: only a clone helps. */
export async function giveUpRewound(layout: Layout): Promise<void> {
  await rename(layout.rewound, layout.rewinding);
  await syncDirectory(dirname(layout.rewinding));
}

export async function forgetRewound(layout: Layout): Promise<void> {
  await rm(layout.rewound, { force: true });
}

/** A fresh copy beside the old data, which stays until `discardFormer`. */
export async function clone(
  primary: Member,
  definition: Definition,
  layout: Layout,
  signal: AbortSignal,
): Promise<void> {
  const passfile = await writePasswordFile(layout);
  await rm(layout.incoming, { recursive: true, force: true });
  await command(
    join(layout.bin, 'pg_basebackup'),
    [
      ...[
        '-d',
        `host=${primary.address} port=${primary.databasePort} user=${replicationRole} ${brokenLinks} ${secured(layout, definition)}`,
      ],
      ...['-D', layout.incoming, '-X', 'stream', '--checkpoint=fast', '--no-password'],
    ],
    { signal, env: { PGPASSFILE: passfile } },
  );
  await writeFile(join(layout.incoming, 'standby.signal'), '');
  // An even older copy than the one that is about to be replaced serves nobody.
  if (await exists(layout.data)) {
    await rm(layout.former, { recursive: true, force: true });
    await rename(layout.data, layout.former);
  }
  await rename(layout.incoming, layout.data);
  await rm(layout.rewinding, { force: true });
  await forgetRewound(layout);
  await syncDirectory(dirname(layout.data));
}

export async function discardFormer(layout: Layout): Promise<void> {
  await rm(layout.former, { recursive: true, force: true });
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
