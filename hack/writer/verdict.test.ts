import { describe, expect, test } from '@jest/globals';
import { differenceOf, judge, violationsOf, type Acknowledgement, type Row } from './verdict.ts';

describe('presence', () => {
  const history = { acked: [[1, 4]], unknown: [[5, 6]] } as const;

  test.each([
    ['all there', [1, 2, 3, 4], { lost: 0, duplicates: 0, unknownPresent: 0, foreign: 0 }],
    ['an unknown write was committed', [1, 2, 3, 4, 6], { lost: 0, unknownPresent: 1, foreign: 0 }],
    ['an acknowledged write is missing', [1, 2, 4], { lost: 1, lostIds: [3] }],
    ['a row stands twice', [1, 2, 2, 3, 4], { lost: 0, duplicates: 1, foreign: 0 }],
    ['a row that nobody sent', [1, 2, 3, 4, 9], { lost: 0, foreign: 1 }],
  ])('%s', (_, found, expected) => {
    const rows = found.map((id) => ({ id, timeline: 1, xid: 700 + id }));
    expect(judge(history, rows)).toMatchObject({ acked: 4, ...expected });
  });
});

/** id, timeline, sent, acknowledged */
type Told = readonly [number, number, number, number];
/** id, timeline, transaction */
type Held = readonly [number, number, number];

function verdictOn(told: readonly Told[], held: readonly Held[], unknown: readonly number[] = []) {
  const acknowledgements = told.map(([id, timeline, sentMs, ackedMs]): Acknowledgement => ({
    id,
    timeline,
    sentMs,
    ackedMs,
  }));
  const acked = told.map(([id]) => [id, id] as const).toSorted(([a], [b]) => a - b);
  const rows = held.map(([id, timeline, xid]): Row => ({ id, timeline, xid }));
  return judge({ acked, unknown: unknown.map((id) => [id, id] as const), acknowledgements }, rows);
}

/** Three writes under timeline 1, a failover, two under timeline 2. */
const told: readonly Told[] = [
  [1, 1, 0, 5],
  [2, 1, 10, 15],
  [3, 1, 20, 25],
  [5, 2, 900, 910],
  [6, 2, 920, 925],
];
const held: readonly Held[] = [
  [1, 1, 701],
  [2, 1, 702],
  [3, 1, 703],
  [5, 2, 705],
  [6, 2, 706],
];

describe('histories that are right', () => {
  test.each<readonly [string, readonly Told[], readonly Held[], readonly number[]]>([
    ['a failover', told, held, []],
    ['a write without an answer that was committed', told, [...held, [4, 1, 704]], [4]],
    ['a write without an answer that was not', told, held, [4]],
    [
      'writes side by side, committed the other way round',
      [
        [1, 1, 0, 9],
        [2, 1, 1, 8],
      ],
      [
        [1, 1, 702],
        [2, 1, 701],
      ],
      [],
    ],
    ['a transaction number that a lost timeline had used', told, [...held.slice(0, 3), [5, 2, 704], [6, 2, 705]], [4]],
  ])('%s', (_, acknowledged, found, unknown) => {
    expect(violationsOf(verdictOn(acknowledged, found, unknown))).toEqual([]);
  });

  test('a late acknowledgement of an older timeline whose write the newer log holds', () => {
    const verdict = verdictOn([...told, [7, 1, 30, 915]], [...held, [7, 1, 704]]);
    expect(violationsOf(verdict)).toEqual([]);
    expect(verdict.late).toBe(1);
  });
});

describe('histories that must fail', () => {
  test.each<readonly [string, readonly Told[], readonly Held[], string]>([
    ['a lost write', told, held.toSpliced(2, 1), '1 of 5 acknowledged writes are lost: 3'],
    ['a row that nobody sent', told, [...held, [9, 2, 709]], '1 rows were never sent'],
    ['a row twice', told, [...held, [3, 1, 703]], '1 rows stand twice'],
    [
      'a late acknowledgement of an older timeline that the newer log lacks',
      [...told, [7, 1, 30, 915]],
      held,
      '1 late acknowledgements of an older timeline that the newer log doesn’t hold: 7',
    ],
    [
      'two primaries at once, even if both writes are there',
      [...told, [7, 1, 930, 935]],
      [...held, [7, 1, 704]],
      '1 writes acknowledged by an older timeline though sent after a newer one had acknowledged: 7',
    ],
    [
      'two writes that changed places',
      told,
      held.map(([id, timeline, xid]) => [id, timeline, id === 2 ? 703 : id === 3 ? 702 : xid] as const),
      '1 writes stand before others that were acknowledged before they were sent: 3',
    ],
    [
      'another row by the id that was promised',
      told,
      held.map(([id, timeline, xid]) => [id, id === 3 ? 2 : timeline, xid] as const),
      '1 rows stand under another timeline than the one that acknowledged them: 3',
    ],
    [
      'rows of two histories',
      told,
      held.map(([id, timeline, xid]) => [id, timeline, id === 3 ? 707 : xid] as const),
      '1 rows of an older timeline stand behind rows of a newer one: 3',
    ],
  ])('%s', (_, acknowledged, found, expected) => {
    expect(violationsOf(verdictOn(acknowledged, found))).toContain(expected);
  });
});

test.each<readonly [string, readonly Held[], ReturnType<typeof differenceOf>]>([
  ['the same', held, undefined],
  ['the same in another order', held.toReversed(), undefined],
  ['one short', held.slice(1), { missing: 1, extra: 0, different: 0 }],
  ['one more', [...held, [9, 2, 710]], { missing: 0, extra: 1, different: 0 }],
  ['another transaction', [[1, 1, 700], ...held.slice(1)], { missing: 0, extra: 0, different: 1 }],
])('a replica compared with its primary: %s', (_, found, expected) => {
  const rows = (all: readonly Held[]) => all.map(([id, timeline, xid]): Row => ({ id, timeline, xid }));
  expect(differenceOf(rows(held), rows(found))).toEqual(expected);
});
