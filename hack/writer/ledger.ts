/** What the writer knows of its writes: which were acknowledged, which got no clear answer, and when nothing came through. */
import { countOf, createRangeSet, type Range, type RangeSet } from './range-set.ts';
import type { Acknowledgement } from './verdict.ts';

/** A time without acknowledged writes: the last before, the first after. */
export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly milliseconds: number;
}

/** What happened since a named moment, which tests set just before they break something. */
export interface MarkState {
  readonly at: string;
  /** Acknowledged writes that were *sent* after the mark. */
  readonly acked: number;
  /** The longest gap that ended after the mark or is not over yet; one that spans the mark counts from its beginning. */
  readonly longestGap: Gap | null;
}

export interface LedgerState {
  readonly acked: number;
  readonly unknown: number;
  readonly lastAckAt: string | null;
  readonly sinceLastAckMs: number | null;
  readonly longestGapMs: number;
  /** Gaps of `notableGapMs` and more. */
  readonly gaps: readonly Gap[];
  readonly marks: Readonly<Record<string, MarkState>>;
  /** What connections and writes failed with, and how often. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface Moment {
  readonly monotonicMs: number;
  readonly wall: Date;
}

export interface Ledger {
  readonly sent: (id: number) => void;
  /** Of a lane; undefined: nothing yet. */
  readonly newestSent: (lane: number) => number | undefined;
  /** `timeline`: under which the server says it wrote the row. */
  readonly acknowledged: (id: number, timeline: number, sentAt: Moment, at: Moment) => void;
  readonly unknown: (id: number, why: string) => void;
  readonly failed: (why: string) => void;
  readonly mark: (name: string, at: Moment) => void;
  readonly state: (at: Moment) => LedgerState;
  readonly ackedRanges: () => readonly Range[];
  readonly unknownRanges: () => readonly Range[];
  readonly acknowledgements: () => readonly Acknowledgement[];
}

/** Each connection counts its ids from a number of its own, so that they stay ranges. */
export const idsOfLane = 1_000_000_000;

/** A tenth of the shortest outage that is of interest; below are scheduling and checkpoints. */
export const notableGapMs = 100;
const keptErrors = 30;

interface Mark {
  readonly at: Moment;
  acked: number;
  longest: Gap | null;
}

export function createLedger(): Ledger {
  const acked = laneSets();
  const unknown = laneSets();
  const sent = new Map<number, number>();
  const acknowledgements: Acknowledgement[] = [];
  const gaps: Gap[] = [];
  const marks = new Map<string, Mark>();
  const errors = new Map<string, number>();
  let lastAck: Moment | undefined;
  let longestGapMs = 0;

  const failed = (why: string): void => {
    const key = errors.has(why) || errors.size < keptErrors ? why : 'others';
    errors.set(key, (errors.get(key) ?? 0) + 1);
  };

  return {
    sent: (id) => {
      sent.set(Math.floor(id / idsOfLane), id);
    },
    newestSent: (lane) => sent.get(lane),
    acknowledged: (id, timeline, sentAt, at) => {
      acked.add(id);
      acknowledgements.push({ id, timeline, sentMs: sentAt.monotonicMs, ackedMs: at.monotonicMs });
      const gap = lastAck === undefined ? undefined : between(lastAck, at);
      lastAck = at;
      if (gap !== undefined && gap.milliseconds >= notableGapMs) gaps.push(gap);
      longestGapMs = Math.max(longestGapMs, gap?.milliseconds ?? 0);
      for (const mark of marks.values()) {
        if (sentAt.monotonicMs >= mark.at.monotonicMs) mark.acked += 1;
        if (gap !== undefined) mark.longest = longer(mark.longest, gap);
      }
    },
    unknown: (id, why) => {
      unknown.add(id);
      failed(why);
    },
    failed,
    mark: (name, at) => {
      marks.set(name, { at, acked: 0, longest: null });
    },
    state: (at) => {
      const open = lastAck === undefined ? undefined : between(lastAck, at);
      return {
        acked: countOf(acked.ranges()),
        unknown: countOf(unknown.ranges()),
        lastAckAt: lastAck?.wall.toISOString() ?? null,
        sinceLastAckMs: open?.milliseconds ?? null,
        longestGapMs: Math.max(longestGapMs, open?.milliseconds ?? 0),
        gaps,
        marks: Object.fromEntries(
          [...marks].map(([name, mark]) => [
            name,
            {
              at: mark.at.wall.toISOString(),
              acked: mark.acked,
              longestGap: open === undefined ? mark.longest : longer(mark.longest, open),
            },
          ]),
        ),
        errors: Object.fromEntries(errors),
      };
    },
    ackedRanges: acked.ranges,
    unknownRanges: unknown.ranges,
    acknowledgements: () => [...acknowledgements],
  };
}

function laneSets(): RangeSet {
  const lanes = new Map<number, RangeSet>();
  return {
    add: (id) => {
      const lane = Math.floor(id / idsOfLane);
      const set = lanes.get(lane) ?? createRangeSet();
      lanes.set(lane, set);
      set.add(id);
    },
    ranges: () => [...lanes.values()].flatMap((set) => set.ranges()),
  };
}

function between(from: Moment, to: Moment): Gap {
  return {
    from: from.wall.toISOString(),
    to: to.wall.toISOString(),
    milliseconds: Math.round(to.monotonicMs - from.monotonicMs),
  };
}

function longer(one: Gap | null, other: Gap): Gap {
  return one === null || other.milliseconds > one.milliseconds ? other : one;
}
