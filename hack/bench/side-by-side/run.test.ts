import { expect, test } from '@jest/globals';
import type { LedgerState } from '../../writer/ledger.ts';
import { gapsSince } from './run.ts';

const at = (seconds: number): string => new Date(seconds * 1_000).toISOString();
const gap = (from: number, to: number) => ({ from: at(from), to: at(to), milliseconds: (to - from) * 1_000 });

test('gaps are told since the fault; one that was over by then is not', () => {
  const state = {
    gaps: [gap(1, 2), gap(9, 12), gap(20, 21)],
    marks: { strike: { at: at(10), acked: 0, longestGap: gap(9, 12) } },
  } as unknown as LedgerState;
  expect(gapsSince(state)).toEqual([
    [-1_000, 2_000],
    [10_000, 11_000],
  ]);
});
