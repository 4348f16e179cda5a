import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Voter } from '../api/cluster-state.ts';
import { planSyncSet, type SyncSet } from './sync-set.ts';
import { sameVoter } from './takeover.ts';
import { voter } from './testing.ts';

const [b, c, d] = [voter('b'), voter('c'), voter('d')];
const strict = { durability: { mode: 'Strict', acknowledgements: 1 }, instances: ['a', 'b', 'c'] } as const;
const preferred = { durability: { mode: 'Preferred', acknowledgements: 1 }, instances: ['a', 'b'] } as const;
const healthy = (...voters: readonly Voter[]) => voters.map((v) => ({ voter: v, streaming: true }));
const set = (members: readonly Voter[], acknowledgements = 1): SyncSet => ({ members, acknowledgements });

test.each([
  ['all is well', set([b, c]), set([b, c]), healthy(b, c), [], strict, { where: 'nowhere' }],
  [
    'not known what the database does: make it do what etcd says',
    set([b, c]),
    undefined,
    healthy(b, c),
    [],
    strict,
    { where: 'database', to: set([b, c]), barrier: false },
  ],
  ['a new replica: etcd first', set([b]), set([b]), healthy(b, c), [], strict, { where: 'etcd', to: set([b, c]) }],
  [
    'then the database',
    set([b, c]),
    set([b]),
    healthy(b, c),
    [],
    strict,
    { where: 'database', to: set([b, c]), barrier: true },
  ],
  [
    'a dead member: the database first',
    set([b, c]),
    set([b, c]),
    healthy(b),
    [],
    strict,
    { where: 'database', to: set([b]), barrier: true },
  ],
  ['then etcd', set([b, c]), set([b]), healthy(b), [], strict, { where: 'etcd', to: set([b]) }],
  [
    'back before etcd was told: the database takes it in again',
    set([b, c]),
    set([b]),
    healthy(b, c),
    [],
    strict,
    { where: 'database', to: set([b, c]), barrier: true },
  ],
  ['Strict keeps its last member, alive or not', set([b]), set([b]), [], [], strict, { where: 'nowhere' }],
  [
    'but not one that has lost its data',
    set([b]),
    set([b]),
    [],
    [b],
    strict,
    { where: 'database', to: set([]), barrier: false },
  ],
  [
    'an instance that is being removed leaves',
    set([b, c]),
    set([b, c]),
    healthy(b, c),
    [],
    { ...strict, instances: ['a', 'c'] },
    { where: 'database', to: set([c]), barrier: true },
  ],
  [
    'newcomers of a set that is too small join at once: its own member may be gone for good',
    set([b], 2),
    set([b], 2),
    healthy(c, d),
    [],
    { durability: { mode: 'Strict', acknowledgements: 2 }, instances: ['a', 'b', 'c', 'd'] },
    { where: 'database', to: set([b, c, d], 2), barrier: true },
  ],
  [
    'one that comes back during a collapse counts only behind a barrier (F21)',
    set([b, c]),
    set([]),
    healthy(c),
    [b],
    strict,
    { where: 'database', to: set([c]), barrier: true },
  ],
  [
    'with too few, etcd takes over what the database is proven to ask for, whatever the sizes (F22)',
    set([c], 2),
    set([b], 2),
    healthy(b),
    [c],
    { durability: { mode: 'Strict', acknowledgements: 2 }, instances: ['a', 'b', 'c'] },
    { where: 'etcd', to: set([b], 2) },
  ],
  [
    'with too few, k is lowered only once nobody counts (F23)',
    set([c], 2),
    set([c], 2),
    healthy(c),
    [],
    { durability: { mode: 'Preferred', acknowledgements: 2 }, instances: ['a', 'b', 'c'] },
    { where: 'etcd', to: set([], 2) },
  ],
  [
    'and then at once, though the database still asks for somebody',
    set([], 2),
    set([c], 2),
    healthy(c),
    [],
    { durability: { mode: 'Preferred', acknowledgements: 2 }, instances: ['a', 'b', 'c'] },
    { where: 'etcd', to: set([], 1) },
  ],
  [
    'with too few, the barrier goes by the k that etcd holds (F24)',
    set([], 1),
    set([], 2),
    healthy(d),
    [],
    { durability: { mode: 'Strict', acknowledgements: 2 }, instances: ['a', 'b', 'c', 'd'] },
    { where: 'database', to: set([], 1), barrier: true },
  ],
  ['Preferred lowers k in etcd first', set([b]), set([b]), [], [], preferred, { where: 'etcd', to: set([b], 0) }],
  [
    'and lets its last member go, etcd included',
    set([b], 0),
    set([], 1),
    [],
    [],
    preferred,
    { where: 'etcd', to: set([], 0) },
  ],
  [
    'before k is lowered in the database',
    set([], 0),
    set([], 1),
    [],
    [],
    preferred,
    { where: 'database', to: set([], 0), barrier: false },
  ],
  [
    'Preferred raises k in the database first',
    set([b], 0),
    set([b], 0),
    healthy(b),
    [],
    preferred,
    { where: 'database', to: set([b], 1), barrier: true },
  ],
  ['then in etcd', set([b], 0), set([b], 1), healthy(b), [], preferred, { where: 'etcd', to: set([b], 1) }],
] as const)('%s', (_, recorded, applied, replicas, departed, wanted, expected) => {
  expect(planSyncSet(recorded, applied, replicas, departed, wanted)).toEqual(expected);
});

const within = (inner: readonly Voter[], outer: readonly Voter[]): boolean =>
  inner.every((m) => outer.some((o) => sameVoter(m, o)));

test('whatever the replicas do and wherever a change is cut off, what the database asks for satisfies what etcd says, and it settles', () => {
  const voters = [b, c, voter('d'), voter('c', 'v2')];
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          fit: fc.subarray(voters),
          departed: fc.subarray(voters),
          forget: fc.boolean(),
          steps: fc.integer({ min: 0, max: 4 }),
        }),
        { maxLength: 12 },
      ),
      fc.constantFrom('Strict', 'Preferred', 'Async'),
      fc.integer({ min: 1, max: 2 }),
      (rounds, mode, k) => {
        const wanted = { durability: { mode, acknowledgements: k }, instances: ['a', 'b', 'c', 'd'] } as const;
        let etcd = set([], mode === 'Strict' ? k : 0);
        let database: SyncSet | undefined = etcd;
        let narrowest: SyncSet = etcd; // what the database may be doing when it is not known
        const stepOnce = (fit: readonly Voter[], departed: readonly Voter[]): boolean => {
          const change = planSyncSet(etcd, database, healthy(...fit), departed, wanted);
          if (change.where === 'nowhere') return false;
          if (change.where === 'etcd') etcd = change.to;
          else database = narrowest = change.to;
          // Safe: any `acknowledgements` members the database waits for are at least as many as etcd says, out of etcd's set.
          // While etcd's set is too small to acknowledge anything only the recorded primary may claim, whatever the database does.
          if (etcd.members.length >= etcd.acknowledgements) expect(within(narrowest.members, etcd.members)).toBe(true);
          expect(narrowest.acknowledgements).toBeGreaterThanOrEqual(etcd.acknowledgements);
          if (mode === 'Strict') expect(etcd.acknowledgements).toBe(k);
          return true;
        };
        for (const { fit, departed, forget, steps } of rounds) {
          for (let i = 0; i < steps; i++) stepOnce(fit, departed);
          if (forget) database = undefined;
        }
        let steps = 0;
        const fit = [b, c, voter('d')];
        while (stepOnce(fit, [voter('c', 'v2')])) expect(++steps).toBeLessThan(40);
        expect(within(fit, etcd.members) && etcd.members.length === 3).toBe(true);
        expect(database).toEqual({ members: expect.anything(), acknowledgements: mode === 'Async' ? 0 : k });
      },
    ),
    { numRuns: 2000 },
  );
});
