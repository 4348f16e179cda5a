/** How much log may be kept, by the size of the volume it is on: a dead replica must never be what fills the disk. */
import { realpath, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { walDirectory, type Layout } from './layout.ts';
import { listWal, sizeOfSegments } from './timeline.ts';

export interface WalVolume {
  readonly bytes: number;
  readonly segmentBytes: number;
  /** Nothing else is on it. */
  readonly separate: boolean;
}

const mebibyte = 1024 * 1024;
/** Segments: with fewer than two PostgreSQL does not start. */
const fewest = 4;

/** Defaults; a user may set each. */
export function walLimits({ bytes, segmentBytes, separate }: WalVolume): Readonly<Record<string, string>> {
  const part = (ofShared: number, ofSeparate: number, most = Infinity): number =>
    Math.max(fewest * segmentBytes, Math.min(most, bytes * (separate ? ofSeparate : ofShared)));
  const setting = (size: number): string => `${Math.floor(size / mebibyte)}MB`;
  return {
    // For replicas that are away; beyond it they are cloned.
    max_slot_wal_keep_size: setting(part(0.1, 0.5)),
    // What pg_rewind may need of an ex-primary's own log, which no slot holds.
    wal_keep_size: setting(part(0.05, 0.1, 512 * mebibyte)),
    max_wal_size: setting(separate ? part(0, 0.25) : part(0.1, 0, 1024 * mebibyte)),
  };
}

export async function walVolumeOf(layout: Layout): Promise<WalVolume> {
  const wal = await realpath(walDirectory(layout.data));
  const [{ blocks, bsize }, ownDevice, dataDevice] = await Promise.all([
    statfs(wal),
    stat(wal),
    stat(dirname(layout.data)),
  ]);
  const segmentBytes = Number(await sizeOfSegments(layout.data, await listWal(layout.data)));
  return { bytes: blocks * bsize, segmentBytes, separate: ownDevice.dev !== dataDevice.dev };
}
