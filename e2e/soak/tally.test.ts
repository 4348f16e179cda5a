import { expect, test } from '@jest/globals';
import { emptyTally, withRound, type PlayedRound } from './tally.ts';

const quiet: PlayedRound = {
  ...{ faults: [], missed: [], failovers: 0, acked: 100, unknown: 0, late: 0, lost: 0, vanishedReads: 0 },
  ...{ reads: { rw: 10, ro: 9, r: 8 }, worstLagMs: 5, outageMs: 20, lastedMs: 0, recoveredMs: 300 },
};

test('adds rounds up, with the longest outage of each fault alone and beside others', () => {
  const rounds: readonly PlayedRound[] = [
    quiet,
    { ...quiet, faults: ['agent killed (primary)'], failovers: 1, outageMs: 700 },
    { ...quiet, faults: ['agent killed (primary)'], failovers: 1, outageMs: 600, recoveredMs: 9_000 },
    {
      ...quiet,
      ...{ faults: ['agent killed (primary)', 'etcd slow'], missed: ['database killed (replica)'] },
      ...{ failovers: 2, outageMs: 4_000, unknown: 3, late: 1, worstLagMs: 900 },
    },
  ];
  expect(rounds.reduce(withRound, emptyTally('mysql'))).toEqual({
    ...{ engine: 'mysql', rounds: 4, overlapping: 1, failovers: 4, acked: 400, unknown: 3, late: 1, lost: 0 },
    ...{ violations: 0, reads: { rw: 40, ro: 36, r: 32 }, vanishedReads: 0, worstLagMs: 900, slowestRecoveryMs: 9_000 },
    byFault: {
      'agent killed (primary)': {
        ...{ made: 3, missed: 0, longestOutageAloneMs: 700, longestOutageBesideOthersMs: 4_000 },
      },
      'etcd slow': { made: 1, missed: 0, longestOutageAloneMs: null, longestOutageBesideOthersMs: 4_000 },
      'database killed (replica)': {
        ...{ made: 0, missed: 1, longestOutageAloneMs: null, longestOutageBesideOthersMs: null },
      },
    },
  });
});
