/** Compares what a client was promised with what the table holds. */
import { countOf, idsOf, type Range } from './range-set.ts';

/** An acknowledged write, by the client's monotonic clock. */
export interface Acknowledgement {
  readonly id: number;
  /** Of the server that acknowledged; each epoch that changes the primary has its own. */
  readonly timeline: number;
  readonly sentMs: number;
  readonly ackedMs: number;
}

export interface Row {
  readonly id: number;
  readonly timeline: number;
  /** Its transaction: given in the order in which transactions begin to write, and never twice in one history. */
  readonly xid: number;
}

export interface History {
  readonly acked: readonly Range[];
  readonly unknown: readonly Range[];
  /** In the order of arrival. Without them only presence is judged. */
  readonly acknowledgements?: readonly Acknowledgement[];
}

export interface Verdict {
  readonly acked: number;
  /** Acknowledged, and not in the table: what must never be. */
  readonly lost: number;
  readonly lostIds: readonly number[];
  /** Ids that stand in the table more than once, in spite of the primary key. */
  readonly duplicates: number;
  /** Writes without a clear answer that were committed after all; both outcomes are right. */
  readonly unknownPresent: number;
  /** Ids in the table that were never sent. */
  readonly foreign: number;
  /** Acknowledged before another was sent, but later than it in the table's history. */
  readonly reordered: readonly number[];
  /** In the table under another timeline than the one that acknowledged: not the write that was promised. */
  readonly misdated: readonly number[];
  /** Rows of an older timeline behind rows of a newer one: two histories in one table. */
  readonly interleaved: readonly number[];
  /** Sent after a newer timeline had acknowledged, and acknowledged by an older one: two primaries at once. */
  readonly usurped: readonly number[];
  /** Acknowledged by an older timeline after a newer one had acknowledged: right as long as the newer log holds them. */
  readonly late: number;
  /** Those of them that it doesn't hold; they are also among the lost. */
  readonly lateLost: readonly number[];
}

const listedIds = 100;

export function judge(history: History, rows: readonly Row[]): Verdict {
  const present = new Map(rows.map((row) => [row.id, row]));
  const lostIds = [...idsOf(history.acked)].filter((id) => !present.has(id));
  const acked = countOf(history.acked);
  const unknownPresent = [...idsOf(history.unknown)].filter((id) => present.has(id)).length;
  const acknowledgements = history.acknowledgements ?? [];
  const { late, usurped } = comparedWithNewer(acknowledgements);
  return {
    acked,
    lost: lostIds.length,
    lostIds: listed(lostIds),
    duplicates: rows.length - present.size,
    unknownPresent,
    foreign: present.size - (acked - lostIds.length) - unknownPresent,
    reordered: listed(reorderedIn(acknowledgements, present)),
    misdated: listed(
      acknowledgements
        .filter(({ id, timeline }) => (present.get(id)?.timeline ?? timeline) !== timeline)
        .map(({ id }) => id),
    ),
    interleaved: listed(interleavedIn([...present.values()])),
    usurped: listed(usurped),
    late: late.length,
    lateLost: listed(late.filter((id) => !present.has(id))),
  };
}

export interface Difference {
  readonly missing: number;
  readonly extra: number;
  /** There on both sides, but not the same row. */
  readonly different: number;
}

/** Undefined: the same rows, each written by the same transaction. */
export function differenceOf(ofPrimary: readonly Row[], ofReplica: readonly Row[]): Difference | undefined {
  const theirs = new Map(ofReplica.map((row) => [row.id, row]));
  const both = ofPrimary.filter(({ id }) => theirs.has(id));
  const different = both.filter(
    ({ id, timeline, xid }) => theirs.get(id)?.timeline !== timeline || theirs.get(id)?.xid !== xid,
  );
  const difference = {
    missing: ofPrimary.length - both.length,
    extra: ofReplica.length - both.length,
    different: different.length,
  };
  return Object.values(difference).every((count) => count === 0) ? undefined : difference;
}

/** What must never be, in words; empty = the history is right. */
export function violationsOf(verdict: Verdict): readonly string[] {
  const { acked, lost, lostIds, duplicates, foreign, reordered, misdated, interleaved, usurped, lateLost } = verdict;
  const some = (ids: readonly number[], what: string): readonly string[] =>
    ids.length === 0 ? [] : [`${ids.length}${ids.length === listedIds ? ' or more' : ''} ${what}: ${ids.join(', ')}`];
  return [
    ...(lost > 0 ? [`${lost} of ${acked} acknowledged writes are lost: ${lostIds.join(', ')}`] : []),
    ...some(lateLost, 'late acknowledgements of an older timeline that the newer log doesn’t hold'),
    ...some(usurped, 'writes acknowledged by an older timeline though sent after a newer one had acknowledged'),
    ...(duplicates > 0 ? [`${duplicates} rows stand twice`] : []),
    ...(foreign > 0 ? [`${foreign} rows were never sent`] : []),
    ...some(reordered, 'writes stand before others that were acknowledged before they were sent'),
    ...some(misdated, 'rows stand under another timeline than the one that acknowledged them'),
    ...some(interleaved, 'rows of an older timeline stand behind rows of a newer one'),
  ];
}

function listed(ids: readonly number[]): readonly number[] {
  return ids.slice(0, listedIds);
}

/** Real time: what was acknowledged before a write was sent comes before it in the log. */
function reorderedIn(acknowledgements: readonly Acknowledgement[], present: ReadonlyMap<number, Row>): number[] {
  const byEnd = acknowledgements.toSorted((a, b) => a.ackedMs - b.ackedMs);
  let ended = 0;
  let newest = -Infinity;
  const reordered: number[] = [];
  for (const { id, sentMs } of acknowledgements.toSorted((a, b) => a.sentMs - b.sentMs)) {
    for (let next = byEnd[ended]; next !== undefined && next.ackedMs < sentMs; next = byEnd[ended]) {
      newest = Math.max(newest, present.get(next.id)?.xid ?? newest);
      ended += 1;
    }
    const xid = present.get(id)?.xid;
    if (xid !== undefined && xid <= newest) reordered.push(id);
  }
  return reordered;
}

/** A new primary numbers its transactions above all that its log holds. */
function interleavedIn(rows: readonly Row[]): number[] {
  let newest = 0;
  return rows
    .toSorted((a, b) => a.xid - b.xid)
    .filter(({ timeline }) => {
      const isOlder = timeline < newest;
      newest = Math.max(newest, timeline);
      return isOlder;
    })
    .map(({ id }) => id);
}

function comparedWithNewer(acknowledgements: readonly Acknowledgement[]): {
  readonly late: readonly number[];
  readonly usurped: readonly number[];
} {
  /** When each timeline acknowledged first, the newest that had at any time last. */
  const firsts: { readonly timeline: number; readonly atMs: number }[] = [];
  const late: number[] = [];
  const usurped: number[] = [];
  for (const { id, timeline, sentMs, ackedMs } of acknowledgements.toSorted((a, b) => a.ackedMs - b.ackedMs)) {
    const newest = firsts.at(-1);
    if (newest === undefined || timeline > newest.timeline) firsts.push({ timeline, atMs: ackedMs });
    else if (timeline < newest.timeline) {
      const isUsurped = firsts.some((first) => first.timeline > timeline && first.atMs < sentMs);
      (isUsurped ? usurped : late).push(id);
    }
  }
  return { late, usurped };
}
