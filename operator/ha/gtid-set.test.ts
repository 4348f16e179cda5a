import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  contains,
  countOf,
  formatGtidSet,
  highestOf,
  noGtids,
  parseGtidSet,
  subtract,
  unionOf,
  type GtidSet,
} from './gtid-set.ts';

const a = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const b = '4e11fa47-71ca-11e1-9e33-c80aa9429562';

test.each([
  ['', ''],
  [`${a}:1-5`, `${a}:1-5`],
  [`${b}:1,\n${a}:3:1-2`, `${a}:1-3,${b}:1`],
  [`${a.toUpperCase()}:7:5-6:1`, `${a}:1:5-7`],
  [`${a}:1-3:backup:1-2:9`, `${a}:1-3,${a}:backup:1-2:9`],
  [`${a}:1-9:2-3,`, `${a}:1-9`],
])('%j is read as %j', (text, normal) => {
  expect(formatGtidSet(parseGtidSet(text))).toBe(normal);
});

test.each(['nonsense', a, `${a}:`, `${a}:0`, `${a}:5-4`, `${a}:1-2-3`, `:1`, `${a}:1 2`])('%j is refused', (text) => {
  expect(() => parseGtidSet(text)).toThrow('Not a set of GTIDs');
});

test('two logs that each have something of their own contain neither the other', () => {
  const [x, y] = [parseGtidSet(`${a}:1-5,${b}:1`), parseGtidSet(`${a}:1-6`)];
  expect([contains(x, y), contains(y, x)]).toEqual([false, false]);
  expect(formatGtidSet(subtract(x, y))).toBe(`${b}:1`);
  expect(contains(unionOf(x, y), x)).toBe(true);
  expect(contains(x, noGtids)).toBe(true);
});

test('counts and the highest number of a source', () => {
  const set = parseGtidSet(`${a}:1-5:7,${b}:9223372036854775806`);
  expect(countOf(set)).toBe(7n);
  expect(highestOf(set, a)).toBe(7n);
  expect(highestOf(set, b)).toBe(9223372036854775806n);
  expect(highestOf(set, 'other')).toBe(0n);
});

/** The same by listing every transaction. */
const members = (set: GtidSet): ReadonlySet<string> =>
  new Set(
    [...set].flatMap(([source, intervals]) =>
      intervals.flatMap(({ first, last }) =>
        Array.from({ length: Number(last - first) + 1 }, (_, n) => `${source}:${first + BigInt(n)}`),
      ),
    ),
  );

const someSet = fc
  .array(fc.tuple(fc.constantFrom(a, b, `${a}:x`), fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 6 })))
  .map((parts) => parseGtidSet(parts.map(([source, first, more]) => `${source}:${first}-${first + more}`).join(',')));

test('union, difference and containment are those of the transactions', () => {
  fc.assert(
    fc.property(someSet, someSet, (x, y) => {
      const [inX, inY] = [members(x), members(y)];
      const missing = [...inX].filter((gtid) => !inY.has(gtid));
      expect(members(unionOf(x, y))).toEqual(new Set([...inX, ...inY]));
      expect(members(subtract(x, y))).toEqual(new Set(missing));
      expect(contains(y, x)).toBe(missing.length === 0);
      expect(countOf(x)).toBe(BigInt(inX.size));
      expect(parseGtidSet(formatGtidSet(x))).toEqual(x);
    }),
  );
});
