import { expect, test } from '@jest/globals';
import { cutRules, lossRules } from './pod-network.ts';

test.each([
  ['both ways', true, true],
  ['sending', false, true],
  ['receiving', true, false],
] as const)('%s', (direction, arriving, leaving) => {
  const rules = cutRules(['10.90.1.2', '10.90.2.3'], direction);
  expect(rules.includes('ip saddr { 10.90.1.2, 10.90.2.3 } drop')).toBe(arriving);
  expect(rules.includes('ip daddr { 10.90.1.2, 10.90.2.3 } drop')).toBe(leaving);
});

test('packets are lost both ways, but not within the Pod', () => {
  const rules = lossRules(20)
    .split('\n')
    .filter((rule) => rule.includes('mod 100 < 20 drop'));
  expect(rules).toHaveLength(2);
  expect(rules.filter((rule) => rule.includes('!= "lo"'))).toEqual(rules);
});
