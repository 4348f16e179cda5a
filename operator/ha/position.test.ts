import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { comparePositions, formatLsn, parseLsn } from './position.ts';

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
