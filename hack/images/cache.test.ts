import { describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { digest, makeFile, removeOlder, sizeOf } from './cache.ts';

async function inTemporaryFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-cache-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('digest', () => {
  test('tells texts apart by their borders, and files by their content', () =>
    inTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'a');
      await writeFile(file, 'one');
      const first = await digest(['x', { file }]);
      expect(await digest(['x', { file }])).toBe(first);
      expect(await digest(['ab', 'c'])).not.toBe(await digest(['a', 'bc']));
      await writeFile(file, 'two');
      expect(await digest(['x', { file }])).not.toBe(first);
    }));
});

describe('makeFile', () => {
  test('shows the file only when it is complete', () =>
    inTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'deep/image.tar');
      await makeFile(file, async (unfinished) => {
        await writeFile(unfinished, 'half');
        expect(await sizeOf(file)).toBeUndefined();
        await writeFile(unfinished, 'whole');
      });
      expect(await readFile(file, 'utf8')).toBe('whole');
    }));

  test('leaves nothing behind when the work fails', () =>
    inTemporaryFolder(async (folder) => {
      const made = makeFile(path.join(folder, 'image.tar'), async (unfinished) => {
        await writeFile(unfinished, 'half');
        throw new Error('interrupted');
      });
      await expect(made).rejects.toThrow('interrupted');
      expect(await readdir(folder)).toEqual([]);
    }));
});

describe('removeOlder', () => {
  test('keeps the named file, the newest one beside it, and what has another name', () =>
    inTemporaryFolder(async (folder) => {
      const names = ['etcd-1.tar', 'etcd-2.tar', 'etcd-3.tar', 'postgres-1.tar', 'etcd-binaries'];
      for (const [minute, name] of names.entries()) {
        await writeFile(path.join(folder, name), '');
        await utimes(path.join(folder, name), minute * 60, minute * 60);
      }
      await removeOlder(path.join(folder, 'etcd-1.tar'), 'etcd-');
      expect((await readdir(folder)).sort()).toEqual(['etcd-1.tar', 'etcd-3.tar', 'etcd-binaries', 'postgres-1.tar']);
    }));
});
