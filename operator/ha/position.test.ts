import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareLengths, comparePositions, formatLsn, lackOf, notAbove, parseLsn } from './position.ts';

test('the epoch of the last record decides before the length (F7)', () => {
  expect(comparePositions({ epoch: 1, lsn: 'F/0' }, { epoch: 2, lsn: '0/1' })).toBe(-1);
  expect(comparePositions({ epoch: 2, lsn: '0/FFFFFFFF' }, { epoch: 2, lsn: '1/0' })).toBe(-1);
  expect(comparePositions({ epoch: 2, lsn: '1/0' }, { epoch: 2, lsn: '1/0' })).toBe(0);
});

test('an LSN keeps its value through text', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (offset) => parseLsn(formatLsn(offset)) === offset),
  );
});

const a = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const b = '4e11fa47-71ca-11e1-9e33-c80aa9429562';
const at = (epoch: number, gtids: string) => ({ epoch, gtids });

test.each([
  [at(1, `${a}:1-9`), at(2, ''), -1],
  [at(1, `${a}:1-9`), at(1, `${a}:1-8`), 1],
  [at(1, `${a}:1-8`), at(1, `${a}:1-8,${b}:1`), -1],
  [at(1, `${a}:1-8,${b}:1`), at(1, `${b}:1,${a}:1-8`), 0],
  // Each has something that the other lacks: written to a replica, past its primary.
  [at(1, `${a}:1-9`), at(1, `${a}:1-8,${b}:1`), 'incomparable'],
  // The epoch decides all the same: the tail of an old one is not to be weighed against a newer log.
  [at(1, `${a}:1-9`), at(2, `${a}:1-8,${b}:1`), -1],
  [at(1, `${a}:1-9`), { epoch: 1, lsn: '0/1' }, 'incomparable'],
] as const)('%j and %j: %s', (one, other, order) => {
  expect(comparePositions(one, other)).toBe(order);
  expect(comparePositions(other, one)).toBe(order === 'incomparable' ? order : order === 0 ? 0 : -order);
  expect(notAbove(one, other)).toBe(order === -1 || order === 0);
});

test('what holds all of another is the longer', () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { minLength: 1 });
  const set = (of: readonly number[]): string => `${a}:${of.join(':')}`;
  fc.assert(
    fc.property(numbers, numbers, (more, fewer) => {
      const [all, part] = [at(1, set([...more, ...fewer])), at(1, set(fewer))];
      expect(compareLengths(part, all)).toBe(comparePositions(part, all));
    }),
  );
});

test('how much one lacks of another', () => {
  expect(lackOf(at(1, `${a}:1-9`), at(1, `${a}:1-5,${b}:1`))).toEqual({ amount: 4, of: 'transactions' });
  expect(lackOf({ epoch: 1, lsn: '0/100' }, { epoch: 1, lsn: '0/60' })).toEqual({ amount: 160, of: 'bytes' });
});
