/** Schedules of faults by fast-check: a failing one is shrunk to the fewest faults that still fail, and printed to be replayed. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { faultKinds } from './faults.ts';
import { simulate, type Scheduled, type Shape } from './simulate.ts';

const strike: fc.Arbitrary<Scheduled> = fc.record({
  at: fc.integer({ min: 0, max: 20_000 }),
  kind: fc.constantFrom(...faultKinds),
  on: fc.constantFrom('primary', 'replica', 'other replica'),
  milliseconds: fc.integer({ min: 1, max: 15_000 }),
  form: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

const shapes: readonly Shape[] = [
  { instances: ['a', 'b'], durability: { mode: 'Preferred', acknowledgements: 1 } },
  { instances: ['a', 'b', 'c'], durability: { mode: 'Strict', acknowledgements: 1 } },
  { instances: ['a', 'b', 'c'], durability: { mode: 'Async', acknowledgements: 1 } },
  { instances: ['a', 'b', 'c', 'd'], durability: { mode: 'Strict', acknowledgements: 2 } },
];

test('schedules of up to six faults', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...shapes),
      fc.integer({ min: 1, max: 1000 }),
      fc.array(strike, { minLength: 1, maxLength: 6 }),
      (shape, seed, schedule) => {
        expect(simulate(seed, { shape, schedule, chaos: 25_000 }).violation).toBeUndefined();
      },
    ),
    // The same ones each time: `main.ts --hours` looks for new ones.
    { seed: 1, numRuns: 150, endOnFailure: false },
  );
}, 60_000);
