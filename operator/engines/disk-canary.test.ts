import { afterEach, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskCanary, usualSegment, type DiskCanary } from './disk-canary.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0)) await step();
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'mainstay-disk-'));
  undo.push(() => rm(made, { recursive: true, force: true }));
  return made;
}
function canaryFor(...folders: readonly string[]): DiskCanary {
  const canary = diskCanary({ folders, segment: usualSegment });
  undo.unshift(() => canary.stop());
  return canary;
}

test('writes to each folder, again and again', async () => {
  const folders = [await folder(), await folder()];
  const canary = canaryFor(...folders);
  expect([await canary.write(), await canary.write()]).toEqual([{ outcome: 'written' }, { outcome: 'written' }]);
  for (const one of folders) expect(await readFile(join(one, 'disk-canary'))).toHaveLength(4096);
});

test('one folder that fails is enough', async () => {
  const canary = canaryFor(await folder(), '/nonexistent', await folder());
  expect(await canary.write()).toEqual({ outcome: 'failed', detail: expect.stringMatching('No such file') as unknown });
});

test('full, by what a write says', async () => {
  const full = await folder();
  await symlink('/dev/full', join(full, 'disk-canary'));
  expect(await canaryFor(full).write()).toMatchObject({ outcome: 'full' });
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot.each([
  ['read-only', 'ro', 'read-only'],
  ['almost full, while a small write still goes through', 'size=8m', 'full'],
])('a file system that is %s', async (_name, options, outcome) => {
  const mount = await folder();
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mount]).status).toBe(0);
  undo.unshift(() => spawnSync('umount', [mount]));
  expect(await canaryFor(mount).write()).toMatchObject({ outcome });
});

test('a shell that is killed says nothing of the disk, and is replaced', async () => {
  const one = await folder();
  const canary = canaryFor(one);
  await canary.write();
  // Its next write hangs: the file is a pipe that nobody reads.
  await rm(join(one, 'disk-canary'));
  expect(spawnSync('mkfifo', [join(one, 'disk-canary')]).status).toBe(0);
  const hanging = canary.write();
  process.kill(await shellFor(one), 'SIGKILL');
  expect(await hanging).toMatchObject({ outcome: 'unable' });
  spawnSync('dd', [`if=${join(one, 'disk-canary')}`, 'of=/dev/null', 'status=none']); // lets the orphan end
  await rm(join(one, 'disk-canary'));
  expect(await canary.write()).toEqual({ outcome: 'written' });
});

/** Among this process's own children. */
async function shellFor(folderOfIt: string): Promise<number> {
  const children = (await readFile(`/proc/self/task/${process.pid}/children`, 'utf8')).trim().split(' ').map(Number);
  for (const pid of children) if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(folderOfIt)) return pid;
  throw new Error(`no shell writes to ${folderOfIt}`);
}
