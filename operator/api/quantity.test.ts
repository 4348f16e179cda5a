import { expect, test } from '@jest/globals';
import { quantityValue } from './quantity.ts';

test.each([
  ['20Gi', 20 * 2 ** 30],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['500m', 0.5],
  ['2', 2],
  [2, 2],
  ['1e3', 1000],
  ['1E', 1e18],
  ['10M', 1e7],
])('%s is %d', (quantity, value) => {
  expect(quantityValue(quantity)).toBeCloseTo(value, 6);
});

test.each(['', 'Gi', 'lots', '-1Gi', '1gi', '1 Gi', '1e'])('"%s" is no quantity', (quantity) => {
  expect(quantityValue(quantity)).toBeUndefined();
});
