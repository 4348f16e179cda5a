/** What is kept of a benchmark: JSON, a line for each run and for each measurement of cost. */
import { z } from 'zod';

const versions = z.record(z.string(), z.string());

const about = {
  system: z.enum(['Mainstay', 'Patroni']),
  /** How it was set up, in words. */
  settings: z.string(),
  versions,
  /** On which all of it ran. */
  machine: z.string(),
  /** When it began, ISO 8601. */
  date: z.string(),
  /** Of the machine over the last minute, as it began. */
  load: z.number(),
};

/** One fault. */
export const RunRecord = z
  .object({
    kind: z.literal('run'),
    ...about,
    case: z.string(),
    run: z.int(),
    /** The longest time without an acknowledged write, from the fault until all was well again. */
    outage_ms: z.number(),
    /** Service did not come back while the fault lasted, which was then ended: the outage is at least this long. */
    censored: z.boolean(),
    /** Times without acknowledged writes, of 100 ms and more, in milliseconds since the fault: from, to. */
    gaps: z.array(z.tuple([z.number(), z.number()])),
    acked: z.int(),
    /** Acknowledged, and not there in the end. */
    lost: z.int(),
    unknown: z.int(),
    /** What else must never be, such as a write acknowledged by two primaries at once. */
    violations: z.array(z.string()),
    /** Another instance is primary after it. */
    replaced: z.boolean(),
    /**
     * Seconds from the end of the fault (of one that ends by itself, from the fault) until all three were whole; absent: nothing was
     * interrupted, and we only waited in case it would be.
     */
    redundancy_s: z.number().optional(),
  })
  .readonly();
export type RunRecord = z.output<typeof RunRecord>;

/** A run that could not be judged, and why. */
export const FailedRecord = z
  .object({ kind: z.literal('failed'), ...about, case: z.string(), run: z.int(), failure: z.string() })
  .readonly();
export type FailedRecord = z.output<typeof FailedRecord>;

const cost = z.object({
  role: z.enum(['primary', 'replica']),
  /** Of all processes beside the database. */
  residentMiB: z.number(),
  /** The same without pages of files, which others may share. */
  ownMiB: z.number(),
  cpuPercent: z.number(),
});

/** What it takes for itself, over a time in which nothing happened. */
export const CostRecord = z
  .object({
    kind: z.literal('cost'),
    ...about,
    under: z.enum(['rest', 'load']),
    seconds: z.number(),
    agents: z.array(cost),
    /** Transactions in etcd that wrote something. */
    etcdWritesPerMinute: z.number(),
    /** All messages that the members of etcd were sent by clients. */
    etcdRequestsPerMinute: z.number(),
    /** Of pgbench, under load. */
    transactionsPerSecond: z.number().optional(),
  })
  .readonly();
export type CostRecord = z.output<typeof CostRecord>;

export const BenchRecord = z.discriminatedUnion('kind', [RunRecord, FailedRecord, CostRecord]);
export type BenchRecord = z.output<typeof BenchRecord>;

export function parseRecords(text: string): readonly BenchRecord[] {
  return text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [parseLine(line, index + 1)]));
}

function parseLine(line: string, number: number): BenchRecord {
  try {
    return BenchRecord.parse(JSON.parse(line));
  } catch (error) {
    throw new Error(`line ${number} is no record of the benchmark: ${String(error)}`, { cause: error });
  }
}

export const linesOf = (records: readonly BenchRecord[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');

/** What must never be, whoever is measured. */
export function wrongIn(record: BenchRecord): readonly string[] {
  switch (record.kind) {
    case 'cost':
      return [];
    case 'failed':
      return [`${record.case} ${record.run}: ${record.failure}`];
    case 'run':
      return [
        ...(record.lost > 0 ? [`${record.case} ${record.run}: ${record.lost} acknowledged writes lost`] : []),
        ...record.violations.map((violation) => `${record.case} ${record.run}: ${violation}`),
      ];
  }
}

/** What the record is about: a later measurement of the same takes its place, with all its runs. */
const subjectOf = (record: BenchRecord): string =>
  JSON.stringify([record.system, record.settings, record.kind === 'cost' ? `cost at ${record.under}` : record.case]);

/** What was measured anew replaces what was known of the same; the rest stays. */
export function renewed(former: readonly BenchRecord[], fresh: readonly BenchRecord[]): readonly BenchRecord[] {
  const subjects = new Set(fresh.map(subjectOf));
  return [...former.filter((record) => !subjects.has(subjectOf(record))), ...fresh];
}
