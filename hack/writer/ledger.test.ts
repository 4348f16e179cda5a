import { describe, expect, test } from '@jest/globals';
import { createLedger, idsOfLane, type Moment } from './ledger.ts';
import { countOf, createRangeSet } from './range-set.ts';

const at = (milliseconds: number): Moment => ({ monotonicMs: milliseconds, wall: new Date(milliseconds) });

describe('ledger', () => {
  test('the longest gap goes from the last write before to the first after, and a mark inside it sees it whole', () => {
    const ledger = createLedger();
    ledger.acknowledged(1, 1, at(0), at(5));
    ledger.acknowledged(2, 1, at(10), at(15));
    ledger.mark('fault', at(500));
    ledger.unknown(3, 'ECONNRESET');
    ledger.acknowledged(4, 2, at(2_000), at(2_015));
    ledger.acknowledged(5, 2, at(2_020), at(2_025));
    const state = ledger.state(at(2_030));
    expect(state).toMatchObject({ acked: 4, unknown: 1, longestGapMs: 2_000, sinceLastAckMs: 5 });
    expect(state.gaps).toEqual([
      { from: at(15).wall.toISOString(), to: at(2_015).wall.toISOString(), milliseconds: 2_000 },
    ]);
    expect(state.marks['fault']).toMatchObject({ acked: 2, longestGap: { milliseconds: 2_000 } });
  });

  test('a write sent before a mark and acknowledged after it is no sign of life', () => {
    const ledger = createLedger();
    ledger.mark('fault', at(7));
    ledger.acknowledged(1, 1, at(5), at(9));
    expect(ledger.state(at(10)).marks['fault']?.acked).toBe(0);
  });

  test('a gap that is not over yet counts', () => {
    const ledger = createLedger();
    ledger.acknowledged(1, 1, at(0), at(0));
    ledger.mark('fault', at(1));
    expect(ledger.state(at(3_000))).toMatchObject({
      longestGapMs: 3_000,
      marks: { fault: { longestGap: { milliseconds: 3_000 } } },
    });
  });
});

test('connections count from numbers of their own, and their ids stay ranges', () => {
  const ledger = createLedger();
  ledger.acknowledged(1, 1, at(0), at(1));
  ledger.acknowledged(idsOfLane + 1, 1, at(0), at(2));
  ledger.acknowledged(2, 1, at(1), at(3));
  expect(ledger.ackedRanges()).toEqual([
    [1, 2],
    [idsOfLane + 1, idsOfLane + 1],
  ]);
  expect(ledger.acknowledgements()).toContainEqual({ id: 2, timeline: 1, sentMs: 1, ackedMs: 3 });
});

describe('range set', () => {
  test('holes split ranges', () => {
    const set = createRangeSet();
    for (const id of [1, 2, 3, 5, 6, 9]) set.add(id);
    expect(set.ranges()).toEqual([
      [1, 3],
      [5, 6],
      [9, 9],
    ]);
    expect(countOf(set.ranges())).toBe(6);
  });

  test('an id never comes twice', () => {
    const set = createRangeSet();
    set.add(4);
    expect(() => set.add(4)).toThrow('id 4 came after 4');
  });
});
