import { expect, test } from '@jest/globals';
import { soakPage } from './page.ts';
import { emptyTally, withRound, type PlayedRound } from './tally.ts';

const round: PlayedRound = {
  ...{ faults: ['agent killed (primary)'], missed: ['etcd slow'], failovers: 1, acked: 5_000, unknown: 2, late: 1 },
  ...{ lost: 0, reads: { rw: 30, ro: 20, r: 10 }, vanishedReads: 0, worstLagMs: 1_250, outageMs: 740, lastedMs: 0 },
  recoveredMs: 6_000,
};

test('shows every published soak, the newest first, and what went wrong as well', async () => {
  const postgres = withRound(emptyTally('postgres'), round);
  const mysql = { ...withRound(emptyTally('mysql'), { ...round, lost: 3, outageMs: 900 }), violations: 1 };
  const page = await soakPage([
    { date: '2026-11-29', seed: 1, minutes: 10, tallies: [postgres] },
    { date: '2026-11-30', seed: 2, minutes: 180, tallies: [postgres, mysql] },
  ]);
  expect([...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual([
    '2026-11-30, seed 2, 180 min',
    '2026-11-29, seed 1, 10 min',
  ]);
  const cells = page.replaceAll(/ +/g, ' ');
  expect(cells).toContain('| Violations | 0 | 1 |');
  expect(cells).toContain('| … of them lost | 0 | 3 |');
  expect(cells).toContain('| Reads through -rw, -ro, -r | 30, 20, 10 | 30, 20, 10 |');
  expect(cells).toContain('| agent killed (primary) | 1 | | 0.7 s | |');
  expect(cells).toContain('| etcd slow | 0 | 1 | | |');
});
