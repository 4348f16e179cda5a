/** Data replaced because it was damaged: noted on the volume, and not done again soon, as then it is the disk that is to be replaced. */
import { stat } from 'node:fs/promises';
import type { Corruption } from '../../api/cluster-state.ts';
import { replaceFile } from '../files.ts';
import type { Layout } from './layout.ts';

const atMostEvery = 6 * 3600_000;

export async function noteRepair(layout: Layout, at: Date): Promise<void> {
  await replaceFile(layout.repaired, `${at.toISOString()}\n`);
}

export const whenRepaired = (layout: Layout): Promise<Date | undefined> =>
  stat(layout.repaired).then(
    ({ mtime }) => mtime,
    () => undefined,
  );

export function sinceRepair(found: Corruption, repairedAt: Date | undefined, now: Date): Corruption {
  if (!repairedAt || now.getTime() - repairedAt.getTime() > atMostEvery) return found;
  const { databases, since, detail } = found;
  return {
    databases,
    since,
    detail: `${detail}; its data was replaced for that at ${repairedAt.toISOString()} already: suspect its disk`,
  };
}
