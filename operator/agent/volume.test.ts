import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../platform/clock.ts';
import { openVolume, untilUnlocked } from './volume.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mainstay-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('vow and incarnation outlive the agent; a vow never goes back', async () => {
  const first = await openVolume(directory);
  await first.writeVow(7);
  await first.writeVow(3);
  const again = await openVolume(directory);
  expect([again.vow(), again.incarnation()]).toEqual([7, first.incarnation()]);
  const renewed = await again.renewIncarnation();
  expect(renewed).not.toBe(first.incarnation());
  expect((await openVolume(directory)).vow()).toBe(7);
});

test('changes at the same time don’t forget one another', async () => {
  const volume = await openVolume(directory);
  const before = volume.incarnation();
  await Promise.all([volume.writeVow(4), volume.renewIncarnation(), volume.writeVow(9)]);
  const again = await openVolume(directory);
  expect(again.vow()).toBe(9);
  expect(again.incarnation()).not.toBe(before);
});

test('a damaged file stops the instance instead of making it forget its vow', async () => {
  await writeFile(join(directory, 'instance.json'), '{"vow":');
  await expect(openVolume(directory)).rejects.toThrow();
});

test('a process that inherited the lock keeps a second agent out until it is gone', async () => {
  const lock = join(directory, 'lock');
  const holder = spawn('bash', ['-c', 'exec 9>>"$1"; flock 9; echo held; exec sleep 60', 'x', lock], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const waiting = untilUnlocked(lock, systemClock, pino({ level: 'silent' }), AbortSignal.timeout(10_000));
  const early = await Promise.race([waiting.then(() => 'unlocked'), systemClock.sleep(500).then(() => 'waiting')]);
  expect(early).toBe('waiting');
  holder.kill('SIGKILL');
  await waiting;
});
