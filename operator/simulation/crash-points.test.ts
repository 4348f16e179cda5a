/**
 * The container of whoever is about to begin an effect, or has just ended one, dies at that very moment: for each effect of a
 * failover and of a switchover, before and after it. All must recover, and lose nothing.
 */
import { expect, test } from '@jest/globals';
import type { Moment, Verdict } from './cluster.ts';
import { simulate, type Scheduled, type Shape } from './simulate.ts';

const shape: Shape = { instances: ['a', 'b', 'c'], durability: { mode: 'Strict', acknowledgements: 1 } };
const failover: Scheduled = { at: 10, kind: 'container-death', on: 'primary', milliseconds: 3000, form: 0 };
const switchover: Scheduled = { at: 10, kind: 'switchover', on: 'primary', milliseconds: 20_000, form: 0.9 };
const upgrade: Scheduled = { at: 10, kind: 'upgrade', on: 'primary', milliseconds: 20_000, form: 0.9 };
const chaos = 10_000;

/** Moments of the course without a crash, in order. */
function momentsOf(course: Scheduled): readonly string[] {
  const moments: string[] = [];
  const at = ({ instance, effect, when }: Moment): Verdict => {
    moments.push(`${when} ${effect.type === 'txn' ? effect.purpose : effect.type} of ${instance}`);
    return 'go';
  };
  expect(simulate(1, { shape, schedule: [course], chaos, at }).violation).toBeUndefined();
  return moments;
}

function crashAt(course: Scheduled, index: number): string | undefined {
  let count = 0;
  return simulate(1, { shape, schedule: [course], chaos, at: () => (count++ === index ? 'crash' : 'go') }).violation;
}

test.each([
  ['failover', failover, 25],
  ['switchover', switchover, 20],
  ['major upgrade', upgrade, 30],
] as const)(
  'a crash at each moment of a %s',
  (_, course, atLeast) => {
    const moments = momentsOf(course);
    expect(moments.length).toBeGreaterThan(atLeast);
    const failures = moments.flatMap((moment, index) => {
      const violation = crashAt(course, index);
      return violation === undefined ? [] : [`${moment} (${index}): ${violation}`];
    });
    expect(failures).toEqual([]);
  },
  60_000,
);
