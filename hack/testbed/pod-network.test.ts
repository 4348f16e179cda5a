import { expect, test } from '@jest/globals';
import { cutRules } from './pod-network.ts';

test.each([
  ['both ways', true, true],
  ['sending', false, true],
  ['receiving', true, false],
] as const)('%s', (direction, arriving, leaving) => {
  const rules = cutRules(['10.90.1.2', '10.90.2.3'], direction);
  expect(rules.includes('ip saddr { 10.90.1.2, 10.90.2.3 } drop')).toBe(arriving);
  expect(rules.includes('ip daddr { 10.90.1.2, 10.90.2.3 } drop')).toBe(leaving);
});
