import { describe, expect, test } from '@jest/globals';
import { bugs } from './bugs.ts';
import { regressions } from './regressions.ts';
import { isCaught, simulate } from './simulate.ts';

const firstSeed = 1;

test('seeds without a violation', () => {
  const violations: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + 50; seed++) {
    const { violation } = simulate(seed);
    if (violation !== undefined)
      violations.push(`${violation}; replay: node operator/simulation/main.ts --seed ${seed} --trace`);
  }
  expect(violations).toEqual([]);
});

test('the same seed gives the same world', () => {
  const run = (): readonly string[] => {
    const lines: string[] = [];
    simulate(7, { trace: (line) => lines.push(line) });
    return lines;
  };
  expect(run()).toEqual(run());
});

describe('what has failed once holds', () => {
  test.each(regressions)('$what', ({ seed, options }) => {
    for (let next = seed; next < seed + 10; next++) expect(simulate(next, options).violation).toBeUndefined();
  });
});

/** Within so many seeds; main.ts says how many each takes. */
const bound = 1000;

describe('each deliberate bug is caught', () => {
  test.each(bugs)('$name ($breaks)', (bug) => {
    let caught = false;
    let seed = firstSeed;
    for (; !caught && seed < firstSeed + bound; seed++) caught = isCaught(bug, simulate(seed, { bug }));
    expect(caught).toBe(true);
    // And by the bug, not by its world.
    const { shape, faults, schedule } = bug;
    if (shape || faults || schedule) expect(simulate(seed - 1, { shape, faults, schedule }).violation).toBeUndefined();
  });
});
