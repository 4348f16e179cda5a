/** Room on the volume for a copy of the database beside the old data. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MainstayError } from '../platform/errors.ts';
import { exists } from './files.ts';

/** So that the database, and who writes beside it, can go on. */
const reserve = 64 * 1024 * 1024;

/**
 * What an earlier copy has replaced goes first; the old data only where others hold all that the cluster has acknowledged, twice
 * (`mayDiscardOld`). Rejects where that is not enough.
 */
export async function makeRoom(
  needed: number,
  mayDiscardOld: boolean,
  { data, former }: { readonly data: string; readonly former: string },
  discard: (path: string) => Promise<void>,
): Promise<void> {
  const lacks = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(dirname(data));
    return needed + reserve - bavail * bsize;
  };
  if ((await lacks()) <= 0) return;
  await discard(former);
  if ((await lacks()) <= 0) return;
  if (mayDiscardOld && (await exists(data))) await discard(data);
  const lacking = await lacks();
  if (lacking > 0)
    throw new MainstayError(
      'DataDirectoryUnusable',
      `No room for a copy of the database on this volume: ${Math.ceil(lacking / 1024 / 1024)} MiB are missing; raise spec.storage.size`,
      { retryable: true },
    );
}
