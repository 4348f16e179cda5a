/** Where the server writes, and in which pieces. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { usualSegment } from '../disk-canary.ts';
import type { Disks } from '../disk-space.ts';
import { isWalFile, walDirectory, type Layout } from './layout.ts';

/** The volume, and the WAL's if it is another. */
export async function disksWrittenTo(layout: Layout): Promise<Disks> {
  const volume = dirname(layout.data);
  const directory = await realpath(walDirectory(layout.data)).catch(() => undefined);
  if (directory === undefined) return { folders: [volume], segment: usualSegment }; // no data yet
  const wal = dirname(directory);
  const [devices, segment] = await Promise.all([Promise.all([stat(volume), stat(wal)]), segmentIn(directory)]);
  return { folders: devices[0].dev === devices[1].dev ? [volume] : [volume, wal], segment };
}

/** All of them have the same size. */
async function segmentIn(directory: string): Promise<number> {
  const file = (await readdir(directory)).find((name) => isWalFile(name));
  const size = file === undefined ? 0 : (await stat(join(directory, file)).catch(() => undefined))?.size;
  return Math.max(size ?? 0, usualSegment);
}
