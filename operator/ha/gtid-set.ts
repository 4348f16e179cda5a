/**
 * Sets of MySQL's global transaction identifiers, as it writes them: "uuid:1-5:7,uuid:tag:1". Which transactions a log holds;
 * one holds all of another's if its set contains the other's, and two may each have something that the other lacks.
 */
import { MainstayError } from '../platform/errors.ts';

/** Of numbers, both ends included. */
interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

/** By source (a server's uuid, with ":tag" if there is one): intervals in order, with gaps between them. */
export type GtidSet = ReadonlyMap<string, readonly Interval[]>;

export const noGtids: GtidSet = new Map();

const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const isTag = /^[a-z_][a-z0-9_]{0,31}$/;
const isInterval = /^(\d+)(?:-(\d+))?$/;

export function parseGtidSet(text: string): GtidSet {
  const found = new Map<string, Interval[]>();
  for (const part of text.toLowerCase().split(',')) {
    const [uuid = '', ...words] = part.split(':').map((word) => word.trim());
    if (uuid === '' && words.length === 0) continue; // "" and a comma at the end
    if (!isUuid.test(uuid) || words.length === 0) throw malformed(text, part);
    let source = uuid;
    for (const word of words) {
      const [, from, to = from] = isInterval.exec(word) ?? [];
      if (from !== undefined && to !== undefined) {
        const [first, last] = [BigInt(from), BigInt(to)];
        if (first < 1n || last < first) throw malformed(text, word);
        found.set(source, [...(found.get(source) ?? []), { first, last }]);
      } else if (isTag.test(word)) source = `${uuid}:${word}`;
      else throw malformed(text, word);
    }
  }
  return new Map([...found].map(([source, intervals]) => [source, merged(intervals)]));
}

/** The same set gives the same text: sources in order, each with its tag written out. */
export function formatGtidSet(set: GtidSet): string {
  return [...set]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([source, intervals]) =>
      [source, ...intervals.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))].join(':'),
    )
    .join(',');
}

export function unionOf(...sets: readonly GtidSet[]): GtidSet {
  const all = new Map<string, readonly Interval[]>();
  for (const set of sets)
    for (const [source, intervals] of set) all.set(source, merged([...(all.get(source) ?? []), ...intervals]));
  return all;
}

/** What `set` has and `other` lacks. */
export function subtract(set: GtidSet, other: GtidSet): GtidSet {
  const rest = [...set].map(([source, intervals]) => {
    const taken = other.get(source) ?? [];
    return [source, intervals.flatMap((interval) => cut(interval, taken))] as const;
  });
  return new Map(rest.filter(([, intervals]) => intervals.length > 0));
}

export const contains = (set: GtidSet, other: GtidSet): boolean => subtract(other, set).size === 0;

export const countOf = (set: GtidSet): bigint =>
  [...set.values()].flat().reduce((sum, { first, last }) => sum + last - first + 1n, 0n);

/** 0 if it has none of this source. */
export const highestOf = (set: GtidSet, source: string): bigint => set.get(source)?.at(-1)?.last ?? 0n;

function merged(intervals: readonly Interval[]): readonly Interval[] {
  const sorted = intervals.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: Interval[] = [];
  for (const next of sorted) {
    const before = result.at(-1);
    if (before && next.first <= before.last + 1n)
      result[result.length - 1] = { first: before.first, last: next.last > before.last ? next.last : before.last };
    else result.push(next);
  }
  return result;
}

/** `taken` in order. */
function cut({ first, last }: Interval, taken: readonly Interval[]): readonly Interval[] {
  const left: Interval[] = [];
  let from = first;
  for (const hole of taken) {
    if (hole.last < from) continue;
    if (hole.first > last) break;
    if (hole.first > from) left.push({ first: from, last: hole.first - 1n });
    from = hole.last + 1n;
  }
  if (from <= last) left.push({ first: from, last });
  return left;
}

const malformed = (text: string, part: string): MainstayError =>
  new MainstayError('DatabaseUnreachable', `Not a set of GTIDs: "${part.trim()}" in "${text.slice(0, 200)}"`);
