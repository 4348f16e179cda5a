import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';

let folder: string;
let file: string;
let others: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  file = join(folder, 'a.lock');
  others = [];
});

afterEach(() => {
  others.forEach((other) => other.kill('SIGKILL'));
  rmSync(folder, { recursive: true });
});

test('the lock is gone after the work, also when the work fails', async () => {
  await expect(withLock(file, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(existsSync(file)).toBe(false);
  await expect(withLock(file, () => Promise.resolve(1))).resolves.toBe(1);
});

test('calls of one process take turns', async () => {
  const seen: string[] = [];
  const work = (name: string) => async () => {
    seen.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(`${name} ends`);
  };
  await Promise.all([withLock(file, work('a')), withLock(file, work('b'))]);
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});

test('another process’s lock refuses at once and says who holds it, since when and for what', async () => {
  const other = await holder();
  await expect(withLock(file, () => Promise.resolve())).rejects.toThrow(
    new RegExp(`Locked by process ${other.pid ?? 0} since \\d{4}-.*: .*holder up`),
  );
});

test('a killed holder holds nothing', async () => {
  const other = await holder();
  other.kill('SIGKILL');
  await once(other, 'exit');
  await expect(withLock(file, () => Promise.resolve('mine'))).resolves.toBe('mine');
});

test('who waits gets the lock when the holder ends', async () => {
  const other = await holder();
  const waiting = withLock(file, () => Promise.resolve('mine'), { wait: true });
  other.kill('SIGKILL');
  await expect(waiting).resolves.toBe('mine');
});

/** Another process that holds the lock until it is killed. */
async function holder(): Promise<ChildProcess> {
  const source = `
    process.argv.push('holder', 'up');
    const { withLock } = await import(${JSON.stringify(new URL('lock.ts', import.meta.url).href)});
    await withLock(${JSON.stringify(file)}, () => new Promise(() => { console.log('held'); setInterval(() => {}, 1000); }));`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  others.push(other);
  await once(other.stdout, 'data');
  return other;
}
