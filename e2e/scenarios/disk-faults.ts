import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { seconds } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import type { VolumeDisk } from '../faults.ts';
import { scenario } from '../scenario.ts';

const disasters: readonly (readonly [string, (disk: VolumeDisk) => Promise<() => Promise<void>>])[] = [
  ['is full', (disk) => disk.fill()],
  [
    'stops answering',
    async (disk) => {
      await disk.freeze();
      return disk.thaw;
    },
  ],
  [
    'is read-only after an error',
    async (disk) => {
      await disk.break();
      return disk.replace;
    },
  ],
];

for (const [what, strike] of disasters) {
  scenario(
    `the disk of the primary ${what}`,
    { localNodes: true, runs: 'soak' },
    async ({ orders, writeBeside, faults, signal }) => {
      const [victim] = await orders.replicas();
      assert.ok(victim);
      const disk = await faults.diskOf(victim);
      await orders.allCount({ within: budgets.redundantMs });
      const former = await orders.primary();
      if (former.instance !== victim.name) {
        await orders.requestSwitchover(former.instance, victim.name);
        await orders.primaryOtherThan(former, { within: budgets.handOverMs });
        await orders.fullyRedundant({ within: budgets.redundantMs });
        await orders.allCount({ within: budgets.redundantMs });
      }
      const primary = await orders.primary();
      assert.equal(primary.instance, victim.name);

      const client = await writeBeside(primary);
      await client.expectTrouble();
      const repair = await strike(disk);
      // PostgreSQL goes on for a while in the log that it has; then another one leads, or the same on what it kept in reserve.
      await delay(seconds(15), undefined, { signal });
      await client.acknowledgedAgain({ within: budgets.hungMs });
      await repair();
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.hungMs);
    },
  );
}
