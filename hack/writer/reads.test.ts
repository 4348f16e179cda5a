import { describe, expect, test } from '@jest/globals';
import { judgeReads, readViolationsOf, type Read } from './reads.ts';

/** Ids 1 to 4 and 6 were acknowledged, each 10 ms after it was sent; 5 got no answer. */
const acknowledgements = [1, 2, 3, 4, 6].map((id) => ({ id, timeline: 1, sentMs: id * 100, ackedMs: id * 100 + 10 }));
const known = { acknowledgements, unknown: [[5, 5]] as const, present: new Set([1, 2, 3, 4, 6]) };

function read(what: Partial<Read>): Read {
  const usual = {
    service: 'ro',
    session: 1,
    lane: 0,
    floor: 1,
    count: 4,
    newest: 4,
    askedMs: 450,
    sentByThen: 5,
  } as const;
  return { ...usual, ...what };
}

describe('reads that are right', () => {
  test.each<readonly [string, readonly Read[]]>([
    ['all that was acknowledged', [read({})]],
    ['what was sent and has no answer yet', [read({ count: 5, newest: 5 })]],
    ['an unanswered one left out', [read({ count: 5, newest: 6, sentByThen: 6 })]],
    ['an unanswered one shown', [read({ count: 6, newest: 6, sentByThen: 6 })]],
    ['only from the floor on', [read({ floor: 3, count: 2 })]],
    ['a replica that is behind', [read({ count: 1, newest: 1, askedMs: 90_000 })]],
    ['nothing from the floor on', [read({ floor: 4, count: 0, newest: undefined })]],
    ['less through another connection', [read({}), read({ session: 2, count: 2, newest: 2 })]],
    [
      'less because the floor has passed what was shown',
      [read({ newest: 2, count: 2 }), read({ floor: 3, count: 0, newest: undefined })],
    ],
    [
      'a primary that is deposed and doesn’t know it yet',
      [read({ service: 'rw', count: 3, newest: 3, askedMs: 5_410 })],
    ],
  ])('%s', (_, reads) => {
    expect(readViolationsOf(judgeReads(reads, known))).toEqual([]);
  });
});

describe('reads that must fail', () => {
  test.each<readonly [string, readonly Read[], string]>([
    ['from the future', [read({ count: 5, newest: 6, sentByThen: 5 })], 'showed what had not been sent yet: 6'],
    ['a hole', [read({ count: 3 })], 'showed a write without an acknowledged one before it: 4'],
    ['a row too many', [read({ count: 5 })], 'showed a write without an acknowledged one before it: 4'],
    [
      'backwards',
      [read({}), read({ count: 3, newest: 3 })],
      'showed less than the same connection had been shown before: 4',
    ],
    [
      'nothing, after something',
      [read({}), read({ count: 0, newest: undefined })],
      'showed less than the same connection had been shown before: 4',
    ],
    [
      'a deposed primary that answers too long',
      [read({ service: 'rw', count: 3, newest: 3, askedMs: 5_411 })],
      'through -rw lacked what had been acknowledged more than 5000 ms before: 4',
    ],
  ])('%s', (_, reads, expected) => {
    expect(readViolationsOf(judgeReads(reads, known))).toEqual([`1 reads ${expected}`]);
  });
});

test('counts reads and lags by Service, and writes that were shown and are gone', () => {
  const reads = [read({ count: 5, newest: 5 }), read({ service: 'r', count: 2, newest: 2, askedMs: 1_310 })];
  expect(judgeReads(reads, known)).toMatchObject({
    reads: { rw: 0, ro: 1, r: 1 },
    vanished: 1,
    worstLagMs: { rw: 0, ro: 0, r: 1_000 },
  });
});
