// What the mainstay image would hold, of the version before this one: for tests of upgrades.
import path from 'node:path';
import { previousVersion } from '../../previous/tree.ts';
import { nodeBinary } from '../mainstay/files.ts';

/** What the image holds, by name. */
export async function previousFiles(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const { folder } = await previousVersion(signal);
  const built = (name: string): [string, string] => [name, path.join(folder, 'build', name)];
  return new Map([['node', await nodeBinary()], built('operator.mjs'), built('agent.mjs')]);
}
