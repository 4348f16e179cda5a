import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../platform/clock.ts';
import { followLog, type LogFiles } from './log-files.ts';

let directory = '';
let following: LogFiles | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mainstay-log-'));
});
afterEach(() => {
  following?.stop();
  rmSync(directory, { recursive: true });
});

const write = (name: string, text: string): void => appendFileSync(join(directory, `postgresql-${name}`), text);

function follow(busy = false): { readonly told: string[]; readonly lost: number[]; readonly files: LogFiles } {
  const [told, lost]: [string[], number[]] = [[], []];
  following?.stop();
  following = followLog(
    directory,
    { json: /\.json$/, text: /\.log$/ },
    {
      line: (kind, text, cut) => told.push(`${kind} ${text.length > 80 ? text.length : text}${cut ? '…' : ''}`),
      lost: (bytes) => lost.push(bytes),
      busy: () => busy,
    },
    systemClock,
  );
  return { told, lost, files: following };
}

test('file by file, line by line; what has been told is removed once there is more', () => {
  const { told, files } = follow();
  write('1.json', 'a\nb');
  files.drain();
  write('1.json', 'c\nlast of its file\n');
  write('1.log', 'free(): invalid pointer\n');
  write('2.json', 'd\n');
  files.drain();
  expect(told).toEqual(['json a', 'json bc', 'json last of its file', 'json d', 'text free(): invalid pointer']);
  expect(readdirSync(directory).toSorted()).toEqual(['postgresql-1.log', 'postgresql-2.json', 'told']);
});

test('a file that is still empty stays', () => {
  const { told, files } = follow();
  write('1.json', '');
  files.drain();
  write('1.json', 'a\n');
  files.drain();
  expect(told).toEqual(['json a']);
});

test('a change is noticed', async () => {
  const { told } = follow();
  write('1.json', 'a\n');
  while (told.length === 0) await systemClock.sleep(5);
  expect(told).toEqual(['json a']);
});

test('another life goes on where the last one was', () => {
  write('1.json', 'a\n');
  follow().files.drain();
  write('1.json', 'b\n');
  const { told, files } = follow();
  files.drain();
  expect(told).toEqual(['json b']);
});

test('a line without an end is cut, and the next one is whole', () => {
  const { told, files } = follow();
  write('1.json', `${'x'.repeat(3_000_000)}\nnext\n`);
  files.drain();
  expect(told).toEqual([expect.stringMatching(/^json 1\d{6}…$/), 'json next']);
});

test('while nobody takes lines the oldest files are given up, and it is said how much that was', () => {
  for (const n of [1, 2, 3, 4, 5, 6]) write(`${n}.json`, 'x'.repeat(n));
  expect(follow(true).lost).toEqual([1, 2]);
  expect(readdirSync(directory)).toHaveLength(4);
});
