/** Compares what was acknowledged with what the table holds. */
import { countOf, idsOf, type Range } from './range-set.ts';

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
}

const listedIds = 100;

export function judge(
  history: { readonly acked: readonly Range[]; readonly unknown: readonly Range[] },
  found: readonly number[],
): Verdict {
  const present = new Set(found);
  const lostIds = [...idsOf(history.acked)].filter((id) => !present.has(id));
  const acked = countOf(history.acked);
  const unknownPresent = [...idsOf(history.unknown)].filter((id) => present.has(id)).length;
  return {
    acked,
    lost: lostIds.length,
    lostIds: lostIds.slice(0, listedIds),
    duplicates: found.length - present.size,
    unknownPresent,
    foreign: present.size - (acked - lostIds.length) - unknownPresent,
  };
}
