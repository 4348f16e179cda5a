/** Records for tests. */
import type { CostRecord, FailedRecord, RunRecord } from './record.ts';

const about = {
  system: 'Mainstay',
  settings: 'defaults',
  versions: { postgresql: '18' },
  machine: 'a machine',
  date: '2026-01-01T00:00:00.000Z',
  load: 0.5,
} as const;

export const run = (more: Partial<RunRecord>): RunRecord => ({
  kind: 'run',
  ...about,
  case: 'node-lost',
  run: 0,
  outage_ms: 1_000,
  censored: false,
  gaps: [[-10, 990]],
  acked: 100,
  lost: 0,
  unknown: 1,
  violations: [],
  replaced: true,
  redundancy_s: 5,
  ...more,
});

export const failed = (more: Partial<FailedRecord>): FailedRecord => ({
  kind: 'failed',
  ...about,
  case: 'node-lost',
  run: 1,
  failure: 'not whole',
  ...more,
});

export const cost = (more: Partial<CostRecord>): CostRecord => ({
  kind: 'cost',
  ...about,
  under: 'rest',
  seconds: 30,
  agents: [
    { role: 'primary', residentMiB: 100, ownMiB: 60, cpuPercent: 2 },
    { role: 'replica', residentMiB: 90, ownMiB: 50, cpuPercent: 1 },
    { role: 'replica', residentMiB: 95, ownMiB: 55, cpuPercent: 1.5 },
  ],
  etcdWritesPerMinute: 3,
  etcdRequestsPerMinute: 600,
  ...more,
});
