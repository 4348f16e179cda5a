/**
 * Every order of what happens around a takeover, up to a depth: each of the first protocol steps after the primary's loss is
 * carried out at once, or late (after what the others do meanwhile), or its instance dies there. Three instances; all
 * combinations, no chance.
 */
import { expect, test } from '@jest/globals';
import type { Effect } from '../ha/state.ts';
import type { Moment, Verdict } from './cluster.ts';
import { simulate, type Scheduled, type Shape } from './simulate.ts';

const shape: Shape = { instances: ['a', 'b', 'c'], durability: { mode: 'Strict', acknowledgements: 1 } };
const choices: readonly Verdict[] = ['go', { late: 1500 }, 'crash'];
const depth = 6;

/** What two instances could disagree about; a kill is never late: that is what its deadline is for. */
const matters = (effect: Effect): boolean =>
  effect.type === 'write-vow' ||
  effect.type === 'seal' ||
  effect.type === 'promote' ||
  effect.type === 'follow' ||
  (effect.type === 'txn' && ['promise', 'claim', 'reclaim', 'sync', 'release'].includes(effect.purpose));

/** Two ways into an election: the primary dies; it lives, and its replicas lose it. */
const courses: readonly (readonly [string, readonly Scheduled[]])[] = [
  ['the primary dies', [{ at: 10, kind: 'container-death', on: 'primary', milliseconds: 2500, form: 0 }]],
  [
    'the primary lives',
    [
      { at: 10, kind: 'bad-link', on: 'replica', milliseconds: 6000, form: 0 },
      { at: 10, kind: 'bad-link', on: 'other replica', milliseconds: 6000, form: 0 },
    ],
  ],
];

test.each(courses)(
  '%s',
  (_, schedule) => {
    const failures: string[] = [];
    for (let number = 0; number < choices.length ** depth; number++) {
      const made: string[] = [];
      let rest = number;
      const at = ({ instance, effect, when }: Moment): Verdict => {
        if (when !== 'before' || made.length >= depth || !matters(effect)) return 'go';
        const choice = choices[rest % choices.length] ?? 'go';
        rest = Math.floor(rest / choices.length);
        const what = effect.type === 'txn' ? effect.purpose : effect.type;
        made.push(`${instance} ${what}: ${typeof choice === 'string' ? choice : 'late'}`);
        return choice;
      };
      const { violation } = simulate(1, { shape, schedule, chaos: 8000, at });
      if (violation !== undefined) failures.push(`${number}: ${made.join(', ')}: ${violation}`);
    }
    expect(failures).toEqual([]);
  },
  60_000,
);
