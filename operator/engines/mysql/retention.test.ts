import { expect, test } from '@jest/globals';
import { parseGtidSet } from '../../ha/gtid-set.ts';
import { beatSource } from './names.ts';
import { countToPurge, type KeptLog, type Wish } from './retention.ts';

const a = 'aaaaaaaa-0000-4000-8000-000000000000';
const system = '6d61696e-7374-6179-8123-0123456789ab';
/** Four files of 100 bytes, ten transactions each, written at 10, 20, 30 and 40. */
const logs = [1, 2, 3, 4].map((n): KeptLog => ({
  writtenAt: 10 * n,
  bytes: 100,
  before: parseGtidSet(n === 1 ? '' : `${system}:1-${n},${beatSource(system)}:1-${n},${a}:1-${10 * (n - 1)}`),
}));
const upTo = (n: number) => parseGtidSet(`${system}:1-9,${a}:1-${n}`);
const wish: Wish = { age: 15, now: 45, others: [upTo(40), upTo(40)], most: 1000 };

test.each([
  ['what is old and nobody needs', {}, 3],
  ['not what is young', { age: 30 }, 1],
  ['never the last', { age: 1, now: 1000 }, 3],
  ['nothing where all shall stay', { age: 0, now: 1000 }, 0],
  ['not what a replica lacks', { others: [upTo(40), upTo(15)] }, 1],
  ['what a replica has to its last transaction', { others: [upTo(20)] }, 2],
  ['nothing while one is away', { others: [upTo(40), undefined] }, 0],
  ['what one who is away may need, but for the room', { others: [undefined], most: 250 }, 2],
  ['what is old of a cluster of one', { others: [] }, 3],
])('goes: %s', (_, change, expected) => {
  expect(countToPurge(logs, { ...wish, ...change })).toBe(expected);
});

test('a file that can’t be read is needed by whoever is there', () => {
  expect(
    countToPurge(
      logs.map((log) => ({ ...log, before: undefined })),
      wish,
    ),
  ).toBe(0);
});
