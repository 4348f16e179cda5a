import { expect, test } from '@jest/globals';
import { cutRules } from './network.ts';

test('a cut from a node drops its address and its Pods, in both directions', () => {
  const rules = cutRules(['n2', 'control-plane']);
  expect(rules).toContain('prerouting priority raw; ip saddr { 10.89.0.12, 10.90.2.0/24, 10.89.0.1 } drop;');
  expect(rules).toContain('postrouting priority 200; ip daddr { 10.89.0.12, 10.90.2.0/24, 10.89.0.1 } drop;');
});

test('without peers only the removal of earlier rules is left', () => {
  expect(cutRules([])).toBe('table inet mainstay_cuts {}\ndelete table inet mainstay_cuts\n');
});
