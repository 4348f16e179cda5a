import { expect, test } from '@jest/globals';
import { median, percentile } from './statistics.ts';

test.each([
  [[5], 50, 5],
  [[3, 1, 2], 50, 2],
  [[4, 1, 3, 2], 50, 2],
  [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 100, 10],
])('of %j, %d %% are at most %d', (values, percent, expected) => {
  expect(percentile(values, percent)).toBe(expected);
});

test.each([
  [[5], 5],
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('of nothing there is none', () => {
  expect(() => percentile([], 50)).toThrow('no values');
  expect(() => median([])).toThrow('no values');
});
