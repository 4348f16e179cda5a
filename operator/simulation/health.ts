/** Looks for signs of life of the running database and of the disk, as operator/engines/postgres/signs-of-life.ts does. */
import type { Health } from '../ha/state.ts';
import type { Disk } from './disk.ts';
import type { Activity } from './host.ts';

/** Milliseconds. */
const period = 250;
const silence = 4000;

/** Tells changes only. */
export function* watchHealth(
  signs: {
    readonly now: () => number;
    readonly runs: () => boolean;
    readonly hung: () => boolean;
    readonly disk: Disk;
  },
  told: () => Health,
  tell: (health: Health) => void,
): Activity<void> {
  for (let wellAt = signs.now(); ; yield period) {
    const { disk } = signs;
    const reason = disk.stalled()
      ? 'DiskStalled'
      : disk.full()
        ? 'DiskFull'
        : signs.hung()
          ? 'DatabaseHung'
          : undefined;
    if (!signs.runs() || reason === undefined) wellAt = signs.now();
    const before = told();
    const failing = reason !== undefined && signs.now() - wellAt > silence;
    if (failing && (before.status === 'well' || before.reason !== reason))
      tell({ status: 'failing', reason, since: wellAt, detail: reason });
    if (!failing && before.status === 'failing') tell({ status: 'well' });
  }
}
