/** Sets of growing integers as ranges: a million acknowledged ids with few holes stay a handful of pairs. */
export type Range = readonly [first: number, last: number];

export interface RangeSet {
  /** Ids must come in growing order. */
  readonly add: (id: number) => void;
  readonly ranges: () => readonly Range[];
}

export function createRangeSet(): RangeSet {
  const ranges: [number, number][] = [];
  return {
    add: (id) => {
      const last = ranges.at(-1);
      if (last !== undefined && id <= last[1]) throw new Error(`id ${id} came after ${last[1]}`);
      if (last?.[1] === id - 1) last[1] = id;
      else ranges.push([id, id]);
    },
    ranges: () => ranges.map(([first, last]) => [first, last]),
  };
}

export function countOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

export function* idsOf(ranges: readonly Range[]): Generator<number> {
  for (const [first, last] of ranges) for (let id = first; id <= last; id += 1) yield id;
}
