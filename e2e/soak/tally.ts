/** What a soak has done and seen, in numbers. Pure. */
import type { ReadService } from '../../hack/writer/reads.ts';
import type { EngineName } from '../../operator/api/cluster-state.ts';

export interface PlayedRound {
  /** As they were made: name and place. */
  readonly faults: readonly string[];
  /** Their target was gone already. */
  readonly missed: readonly string[];
  /** Epochs that another instance began than the one before. */
  readonly failovers: number;
  readonly acked: number;
  readonly unknown: number;
  readonly late: number;
  readonly lost: number;
  readonly reads: Readonly<Record<ReadService, number>>;
  readonly vanishedReads: number;
  /** How much -ro was behind at most. */
  readonly worstLagMs: number;
  readonly outageMs: number;
  readonly lastedMs: number;
  /** From the end of all faults until every instance followed and counted again. */
  readonly recoveredMs: number;
}

export interface Tally {
  readonly engine: EngineName;
  readonly rounds: number;
  /** With more than one fault. */
  readonly overlapping: number;
  readonly failovers: number;
  readonly acked: number;
  readonly unknown: number;
  readonly late: number;
  readonly lost: number;
  readonly reads: Readonly<Record<ReadService, number>>;
  readonly vanishedReads: number;
  readonly worstLagMs: number;
  readonly slowestRecoveryMs: number;
  readonly violations: number;
  readonly byFault: Readonly<Record<string, FaultTally>>;
}

export interface FaultTally {
  readonly made: number;
  readonly missed: number;
  /** Null: never alone. */
  readonly longestOutageAloneMs: number | null;
  /** In a round that had others as well: theirs, as much as its own. */
  readonly longestOutageBesideOthersMs: number | null;
}

export function emptyTally(engine: EngineName): Tally {
  const none = { rounds: 0, overlapping: 0, failovers: 0, acked: 0, unknown: 0, late: 0, lost: 0, violations: 0 };
  const reads = { rw: 0, ro: 0, r: 0 };
  return { engine, ...none, reads, vanishedReads: 0, worstLagMs: 0, slowestRecoveryMs: 0, byFault: {} };
}

export function withRound(tally: Tally, round: PlayedRound): Tally {
  const byFault: Record<string, FaultTally> = { ...tally.byFault };
  for (const fault of round.faults) byFault[fault] = withFault(byFault[fault], round);
  for (const fault of round.missed)
    byFault[fault] = { ...(byFault[fault] ?? unseen), missed: (byFault[fault]?.missed ?? 0) + 1 };
  return {
    ...tally,
    rounds: tally.rounds + 1,
    overlapping: tally.overlapping + (round.faults.length > 1 ? 1 : 0),
    failovers: tally.failovers + round.failovers,
    acked: tally.acked + round.acked,
    unknown: tally.unknown + round.unknown,
    late: tally.late + round.late,
    lost: tally.lost + round.lost,
    reads: {
      rw: tally.reads.rw + round.reads.rw,
      ro: tally.reads.ro + round.reads.ro,
      r: tally.reads.r + round.reads.r,
    },
    vanishedReads: tally.vanishedReads + round.vanishedReads,
    worstLagMs: Math.max(tally.worstLagMs, round.worstLagMs),
    slowestRecoveryMs: Math.max(tally.slowestRecoveryMs, round.recoveredMs),
    byFault,
  };
}

const unseen: FaultTally = { made: 0, missed: 0, longestOutageAloneMs: null, longestOutageBesideOthersMs: null };

function withFault(before = unseen, { faults, outageMs }: PlayedRound): FaultTally {
  const key = faults.length === 1 ? 'longestOutageAloneMs' : 'longestOutageBesideOthersMs';
  return { ...before, made: before.made + 1, [key]: Math.max(before[key] ?? 0, outageMs) };
}
