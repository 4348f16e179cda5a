import { describe, expect, test } from '@jest/globals';
import { bugs } from './bugs.ts';
import { isCaught, simulate } from './simulate.ts';

const firstSeed = 1;

test('seeds without a violation', () => {
  const violations: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + 100; seed++) {
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

/** Within so many seeds; main.ts says how many each takes. */
const bound = 400;

describe('each deliberate bug is caught', () => {
  test.each(bugs)('$name ($breaks)', (bug) => {
    let caught = false;
    for (let seed = firstSeed; !caught && seed < firstSeed + bound; seed++)
      caught = isCaught(bug, simulate(seed, { bug }));
    expect(caught).toBe(true);
  });
});
