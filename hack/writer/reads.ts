/** What clients were shown, and whether they may have been: reads are compared with what had been sent and acknowledged by then. */
import { idsOfLane } from './ledger.ts';
import { idsOf, type Range } from './range-set.ts';
import type { Acknowledgement } from './verdict.ts';

/** The Services of a cluster by their endings: the primary, replicas, any instance. */
export const readServices = ['rw', 'ro', 'r'] as const;
export type ReadService = (typeof readServices)[number];

/** What one connection saw of one lane: how many of its ids from `floor` on, and the newest. */
export interface Read {
  readonly service: ReadService;
  /** Another connection, another number. */
  readonly session: number;
  readonly lane: number;
  readonly floor: number;
  readonly count: number;
  /** Nothing from `floor` on: undefined. */
  readonly newest: number | undefined;
  readonly askedMs: number;
  /** The newest id of the lane that had been sent when the answer came. */
  readonly sentByThen: number;
}

export interface ReadVerdict {
  readonly reads: Readonly<Record<ReadService, number>>;
  /** Shown before it was sent. */
  readonly fromTheFuture: readonly number[];
  /** A write was shown, and one that the same lane had been promised before was not: no prefix of any history. */
  readonly torn: readonly number[];
  /** One connection was shown less than it had been before. */
  readonly backwards: readonly number[];
  /** Shown by -rw though a newer write had been acknowledged longer ago than a deposed primary may still answer. */
  readonly stale: readonly number[];
  /** Shown, never acknowledged, and not there in the end: replicas may show what is not yet on enough of them. */
  readonly vanished: number;
  /** By how long an acknowledged write was missed at most. */
  readonly worstLagMs: Readonly<Record<ReadService, number>>;
}

/** As long as a deposed primary may still answer reads (docs/failover.md, “Stale reads”). */
export const staleReadMs = 5_000;

export interface Known {
  readonly acknowledgements: readonly Acknowledgement[];
  readonly unknown: readonly Range[];
  /** Ids in the table at the end. */
  readonly present: ReadonlySet<number>;
}

export const laneOf = (id: number): number => Math.floor(id / idsOfLane);

/** Within a lane an id is sent only after the one before it has had its answer, so that its ids are the order of its history. */
export function judgeReads(reads: readonly Read[], known: Known): ReadVerdict {
  const lanes = lanesOf(known);
  const found = { fromTheFuture: ids(), torn: ids(), backwards: ids(), stale: ids() };
  const vanished = new Set<number>();
  const counts = zeros();
  const worstLagMs = zeros();
  const shownTo = new Map<string, number>();
  for (const read of reads) {
    const { service, session, lane, floor, count, newest, askedMs, sentByThen } = read;
    const { acked, unknown } = lanes.get(lane) ?? none;
    counts[service] += 1;

    const before = shownTo.get(`${service} ${session} ${lane}`) ?? -Infinity;
    if (before >= floor && (newest ?? -Infinity) < before) found.backwards.add(before);
    shownTo.set(`${service} ${session} ${lane}`, Math.max(before, newest ?? -Infinity));

    // The first acknowledged write that it lacks, and for how long that one had been acknowledged.
    const missed = acked[indexAbove(acked, newest ?? floor - 1)];
    const lagMs = missed === undefined ? 0 : Math.max(0, askedMs - missed.ackedMs);
    worstLagMs[service] = Math.max(worstLagMs[service], lagMs);
    if (service === 'rw' && missed !== undefined && lagMs > staleReadMs) found.stale.add(missed.id);

    if (newest === undefined) continue;
    if (newest > sentByThen) found.fromTheFuture.add(newest);
    const promised = indexAbove(acked, newest) - indexAbove(acked, floor - 1);
    const possible = promised + indexAbove(unknown, newest) - indexAbove(unknown, floor - 1);
    if (count < promised || count > possible) found.torn.add(newest);
    if (!known.present.has(newest) && newest <= sentByThen) vanished.add(newest);
  }
  // An acknowledged one that is gone is counted as lost elsewhere.
  const acknowledged = new Set(known.acknowledgements.map(({ id }) => id));
  return {
    reads: counts,
    ...found,
    fromTheFuture: [...found.fromTheFuture],
    torn: [...found.torn],
    backwards: [...found.backwards],
    stale: [...found.stale],
    vanished: [...vanished].filter((id) => !acknowledged.has(id)).length,
    worstLagMs,
  };
}

/** What must never be, in words; empty = every read was right. */
export function readViolationsOf({ fromTheFuture, torn, backwards, stale }: ReadVerdict): readonly string[] {
  const some = (found: readonly number[], what: string): readonly string[] =>
    found.length === 0 ? [] : [`${found.length} reads ${what}: ${found.slice(0, listedIds).join(', ')}`];
  return [
    ...some(fromTheFuture, 'showed what had not been sent yet'),
    ...some(torn, 'showed a write without an acknowledged one before it'),
    ...some(backwards, 'showed less than the same connection had been shown before'),
    ...some(stale, `through -rw lacked what had been acknowledged more than ${staleReadMs} ms before`),
  ];
}

const listedIds = 20;

interface Lane {
  /** By id. */
  readonly acked: readonly Acknowledgement[];
  readonly unknown: readonly { readonly id: number }[];
}

const none: Lane = { acked: [], unknown: [] };

function lanesOf({ acknowledgements, unknown }: Known): ReadonlyMap<number, Lane> {
  const unclear = [...idsOf(unknown)].map((id) => ({ id }));
  const numbers = new Set([...acknowledgements, ...unclear].map(({ id }) => laneOf(id)));
  return new Map(
    [...numbers].map((lane) => {
      const own = <T extends { readonly id: number }>(all: readonly T[]): readonly T[] =>
        all.filter(({ id }) => laneOf(id) === lane).toSorted((a, b) => a.id - b.id);
      return [lane, { acked: own(acknowledgements), unknown: own(unclear) }];
    }),
  );
}

/** How many come up to `id`; also the index of the first above it. */
function indexAbove(sorted: readonly { readonly id: number }[], id: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.id ?? Infinity) <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const ids = (): Set<number> => new Set();
const zeros = (): Record<ReadService, number> => ({ rw: 0, ro: 0, r: 0 });
