import { expect, test } from '@jest/globals';
import process from 'node:process';
import { processCost } from './process-cost.ts';

test('memory and time of this process, as the kernel has them', async () => {
  const before = await processCost(process.pid);
  const { user, system } = process.cpuUsage();
  expect(before.residentMiB).toBeGreaterThan(10);
  expect(before.sharedMiB).toBeLessThan(before.residentMiB);
  // In hundredths of a second, and with those of children that have ended.
  expect(before.cpuSeconds).toBeGreaterThan((user + system) / 1_000_000 - 1);
});

test('a process that has ended costs nothing', async () => {
  expect(await processCost(2 ** 22 + 1)).toEqual({ residentMiB: 0, sharedMiB: 0, cpuSeconds: 0 });
});
