import { expect, test } from '@jest/globals';
import { testedEngines } from '../testbed/engines.ts';
import { markdown, shortfalls, type Series } from './results.ts';

const run = {
  node: 'n1',
  primary: 'orders-1',
  successor: 'orders-2',
  epochs: 1,
  acked: 100,
  unknown: 1,
  lost: 0,
  reached: { claimed: 200, 'first write': 500 },
} as const;
const series = (more: Partial<Series>): Series => ({
  title: 'postmaster SIGKILL',
  goal: { p50: 500, max: 1_000 },
  date: '2026-01-01',
  commit: 'abc',
  runs: [
    { ...run, outageMs: 400 },
    { ...run, outageMs: 500 },
    { ...run, outageMs: 900 },
  ],
  failures: [],
  ...more,
});

test('within its goals, nothing falls short', () => {
  expect(shortfalls(series({}))).toEqual([]);
});

test.each<[string, Partial<Series>, string]>([
  ['a slow median', { goal: { p50: 450 } }, 'p50 500 ms > 450 ms'],
  ['one slow run', { goal: { max: 899 } }, 'max 900 ms > 899 ms'],
  ['a lost write', { runs: [{ ...run, outageMs: 1, lost: 2 }] }, '2 acknowledged writes lost'],
  ['a failed run', { failures: ['not whole'] }, '1 runs failed'],
  [
    'an acknowledgement of the old primary after the new one’s first',
    { runs: [{ ...run, outageMs: 500, oldPrimaryMs: 501 }] },
    '1 times the old primary acknowledged after the new one',
  ],
  [
    'a database that outlived the election',
    { deadFirst: true, runs: [{ ...run, outageMs: 500, oldDatabaseDeadMs: 201 }] },
    '1 times a primary was elected before the old database was dead',
  ],
  [
    'a database that ended though it could have served on',
    { keepsPrimary: true, runs: [{ ...run, outageMs: 500, oldDatabaseDeadMs: 201 }] },
    '1 times the primary was replaced needlessly',
  ],
])('%s falls short', (_, more, expected) => {
  expect(shortfalls(series(more))).toContain(expected);
});

test('the page shows n, p50, max, goal, lost writes and the steps', () => {
  const page = markdown(
    { machine: 'a machine', series: { 'postgres-killed': series({}) }, measurements: {} },
    testedEngines.postgres,
  );
  expect(page).toContain(
    '| postmaster SIGKILL (`postgres-killed`) | 3 | 500 | 900 | p50 ≤ 500, max ≤ 1000 | 300 | 0 | 0 | 2026-01-01, abc |',
  );
  expect(page).toContain('| `postgres-killed` |  |  |  |  | 200 |  |  |  | 500 |');
});
