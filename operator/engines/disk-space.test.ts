import { afterEach, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../platform/clock.ts';
import { keepDiskSpace, reserveFor, spareBytes, type DiskSpace } from './disk-space.ts';

const mebibyte = 1024 * 1024;
const segment = 16 * mebibyte;
const asRoot = process.getuid?.() === 0 ? test : test.skip;

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function disk(options: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mainstay-space-'));
  undo.push(() => rm(folder, { recursive: true }));
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status).toBe(0);
  undo.push(() => spawnSync('umount', [folder]));
  return folder;
}

const reserve = (folder: string): Promise<number> => stat(join(folder, 'disk-reserve')).then(({ size }) => size);

/** Takes all but so many bytes; the returned function gives them back. */
async function fill(folder: string, left: number): Promise<() => Promise<void>> {
  const filler = join(folder, 'filler');
  const { bavail, bsize } = await statfs(folder);
  expect(spawnSync('fallocate', ['--length', String(bavail * bsize - left), filler]).status).toBe(0);
  return () => rm(filler);
}

function keep(...folders: readonly string[]): DiskSpace {
  const space = keepDiskSpace(() => Promise.resolve({ folders, segment }), systemClock, pino({ level: 'silent' }));
  undo.push(() => space.stop());
  return space;
}

async function until(holds: () => boolean | Promise<boolean>, space: DiskSpace): Promise<void> {
  while (!(await holds())) {
    space.lookAgain();
    await systemClock.sleep(10);
  }
}

test.each([
  [512, 32],
  [1024, 64],
  [3200, 64],
  [20 * 1024, 409],
  [500 * 1024, 1024],
])('of %i MiB, %i are the reserve', (size, expected) => {
  expect(Math.floor(reserveFor(size * mebibyte, segment) / mebibyte)).toBe(expected);
});

test('a larger piece of the log needs a larger reserve', () => {
  expect(reserveFor(20 * 1024 * mebibyte, 512 * mebibyte) / mebibyte).toBe(1280);
});

asRoot('lent where nothing is left, each file system by itself, and taken back when there is room', async () => {
  const [data, wal] = [await disk('size=320m'), await disk('size=320m')];
  const space = keep(data, wal);
  await until(() => space.use().length === 2, space);
  expect(await Promise.all([data, wal].map(reserve))).toEqual([20 * mebibyte, 20 * mebibyte]);
  expect(space.isLent()).toBe(false);

  const giveBack = await fill(wal, 0);
  await until(() => space.isLent(), space);
  expect(await Promise.all([data, wal].map(reserve))).toEqual([20 * mebibyte, 0]);
  expect(space.use()).toMatchObject([{ name: 'data' }, { name: 'wal', reserveLent: true }]);
  // What is lent is not room.
  expect(await spareBytes(wal, segment)).toBe(0);
  await giveBack();
  await until(() => !space.isLent(), space);
  expect(await reserve(wal)).toBe(20 * mebibyte);
});

asRoot('lent before a start that would need it, and not without need', async () => {
  const data = await disk('size=320m');
  const space = keep(data);
  await until(() => space.use().length === 1, space);
  const giveBack = await fill(data, 60 * mebibyte);
  await space.makeRoom();
  expect(space.isLent()).toBe(false);
  await giveBack();
  await fill(data, 40 * mebibyte);
  await space.makeRoom();
  expect(space.isLent()).toBe(true);
});

asRoot('a disk that is too full already gets none, and that is no debt', async () => {
  const data = await disk('size=60m');
  const space = keep(data);
  await until(() => space.use().length === 1, space);
  await expect(reserve(data)).rejects.toThrow();
  expect(space.isLent()).toBe(false);
  expect(await spareBytes(data, segment)).toBe(60 * mebibyte);
});
