/** What the records say: per case and contender, and in which cases Mainstay is not the best. */
import { percentile } from '../statistics.ts';
import type { BenchRecord, CostRecord, FailedRecord, RunRecord } from './record.ts';

/** One system with one set of settings. */
export interface Contender {
  readonly system: BenchRecord['system'];
  readonly settings: string;
}

export interface Summary {
  readonly contender: Contender;
  readonly case: string;
  readonly runs: readonly RunRecord[];
  readonly failed: readonly FailedRecord[];
  /** Of outages, in milliseconds. Where one was censored it is that at least. */
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
  readonly censored: number;
  readonly acked: number;
  readonly lost: number;
  /** Median, in seconds; undefined: there was nothing to regain. */
  readonly redundancy: number | undefined;
}

export const labelOf = ({ system, settings }: Contender): string => `${system} (${settings})`;

/** Mainstay first, the others in the order of their fastest case. */
export function contendersIn(records: readonly BenchRecord[]): readonly Contender[] {
  const known = new Map(records.map(({ system, settings }) => [labelOf({ system, settings }), { system, settings }]));
  return [...known.values()].toSorted(
    (a, b) => Number(b.system === 'Mainstay') - Number(a.system === 'Mainstay') || b.settings.localeCompare(a.settings),
  );
}

export function summariesOf(records: readonly BenchRecord[], name: string): readonly Summary[] {
  return contendersIn(records).flatMap((contender) => {
    const own = records.filter((one) => one.system === contender.system && one.settings === contender.settings);
    const runs = own.filter((one): one is RunRecord => one.kind === 'run' && one.case === name);
    const failed = own.filter((one): one is FailedRecord => one.kind === 'failed' && one.case === name);
    if (runs.length === 0) return [];
    const outages = runs.map((run) => run.outage_ms);
    const redundancies = runs.flatMap((run) => run.redundancy_s ?? []);
    return [
      {
        contender,
        case: name,
        runs,
        failed,
        p50: percentile(outages, 50),
        p95: percentile(outages, 95),
        max: Math.max(...outages),
        censored: runs.filter((run) => run.censored).length,
        acked: sum(runs.map((run) => run.acked)),
        lost: sum(runs.map((run) => run.lost)),
        redundancy: redundancies.length === 0 ? undefined : percentile(redundancies, 50),
      },
    ];
  });
}

/** Below it no application notices, and scheduling decides. */
const noticeableMs = 100;

/** Whoever had a noticeably shorter median outage than Mainstay in this case. */
export function betterThanMainstay(summaries: readonly Summary[]): readonly Summary[] {
  const own = summaries.find(({ contender }) => contender.system === 'Mainstay');
  if (own === undefined) return [];
  return summaries.filter((one) => one !== own && one.p50 + noticeableMs <= own.p50);
}

/** At each moment that matters, the share of runs in which writes were acknowledged: steps of time since the fault and share. */
export function availability(
  runs: readonly Pick<RunRecord, 'gaps'>[],
): readonly { readonly ms: number; readonly share: number }[] {
  const moments = [...new Set([0, ...runs.flatMap(({ gaps }) => gaps.flat())].map((ms) => Math.max(0, ms)))];
  return moments
    .toSorted((a, b) => a - b)
    .map((ms) => ({
      ms,
      share: runs.filter(({ gaps }) => !gaps.some(([from, to]) => from <= ms && ms < to)).length / runs.length,
    }));
}

export const costsIn = (records: readonly BenchRecord[]): readonly CostRecord[] =>
  records.filter((one): one is CostRecord => one.kind === 'cost');

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
