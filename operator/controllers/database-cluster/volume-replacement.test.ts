import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import type { ClusterKind } from '../../api/database-cluster.ts';
import { mayBeginAnew } from '../../ha/may-leave.ts';
import { isRisky, type Action } from './actions.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { statusFor } from './status.ts';
import { nextReplacement } from './volume-replacement.ts';

function step(world: World): readonly Action[] {
  const actions = decide(factsOf(world));
  for (const action of actions) carryOut(world, action);
  settle(world);
  return actions;
}

function converge(world: World, check: (actions: readonly Action[]) => void = () => undefined): readonly Action[] {
  const done: Action[] = [];
  for (let round = 0; round < 100; round += 1) {
    check(decide(factsOf(world)));
    const actions = step(world);
    if (actions.length === 0) return done;
    done.push(...actions);
  }
  throw new Error(`no end in sight: ${JSON.stringify(decide(factsOf(world)).map((action) => action.type))}`);
}

function converged(spec: Record<string, unknown> = {}, kind: ClusterKind = 'PostgresCluster'): World {
  const image = kind === 'MySQLCluster' ? { image: 'example.org/mysql:9.7' } : {};
  const world = newWorld(sampleCluster({ storage: onClass('local'), ...image, ...spec }, {}, {}, kind));
  converge(world);
  return world;
}

const onClass = (storageClassName: string) => ({ size: '1Gi', storageClassName });
const fast = { storage: onClass('fast') };
const condition = (world: World, type: string) =>
  statusFor(factsOf(world)).conditions?.find((one) => one.type === type);
/** Of volumes and Pods, and who leads. */
const story = (actions: readonly Action[]) =>
  actions.flatMap((action): string[] => {
    switch (action.type) {
      case 'delete-pod':
        return [`stop ${action.instance}`];
      case 'replace-volume':
      case 'keep-volume':
      case 'delete-volume':
        return [`${action.type} ${action.instance}/${action.holds}/${action.serial}`];
      case 'request-switchover':
        return [`${action.from} to ${action.to} (${action.reason})`];
      default:
        return [];
    }
  });
const inUse = (world: World) =>
  factsOf(world)
    .volumes.map(({ instance, serial, storageClassName }) => `${instance} ${serial} ${storageClassName ?? ''}`)
    .sort();

describe('another storage class', () => {
  test.each(['PostgresCluster', 'MySQLCluster'] as const)(
    '%s: one at a time, the primary last, and the former volumes are kept',
    (kind) => {
      const world = converged({}, kind);
      respec(world, fast);
      expect(story(converge(world))).toEqual([
        'stop orders-3',
        'replace-volume orders-3/data/2',
        'keep-volume orders-3/data/1',
        'stop orders-2',
        'replace-volume orders-2/data/2',
        'keep-volume orders-2/data/1',
        'orders-1 to orders-2 (VolumeReplacement)',
        'stop orders-1',
        'replace-volume orders-1/data/2',
        'keep-volume orders-1/data/1',
      ]);
      expect(inUse(world)).toEqual(['orders-1 2 fast', 'orders-2 2 fast', 'orders-3 2 fast']);
      expect([...world.pods.values()].map(({ claim }) => claim).sort()).toEqual([
        'orders-1-v2',
        'orders-2-v2',
        'orders-3-v2',
      ]);
      expect(condition(world, 'Ready')).toMatchObject({ status: 'True' });
      expect([...world.volumes.keys()]).toHaveLength(6);
    },
  );

  test('Delete: former volumes go as soon as their instance follows on the new one, and not before', () => {
    const world = converged({ deletionPolicy: 'Delete' });
    respec(world, { ...fast, deletionPolicy: 'Delete' });
    world.sick.add('orders-3');
    for (let round = 0; round < 10; round += 1) step(world);
    expect([...world.volumes.keys()].sort()).toEqual(['orders-1', 'orders-2', 'orders-3', 'orders-3-v2']);
    expect(condition(world, 'Reconciling')).toMatchObject({
      reason: 'ReplacingVolumes',
      message: expect.stringMatching(
        /one at a time: orders-1, orders-2\. On a new volume, and not yet whole: orders-3/,
      ) as unknown,
    });
    world.sick.clear();
    settle(world);
    converge(world);
    expect([...world.volumes.keys()].sort()).toEqual(['orders-1-v2', 'orders-2-v2', 'orders-3-v2']);
  });

  test('Delete, and protected from deletion: former volumes are kept', () => {
    const world = converged({ deletionPolicy: 'Delete', deletionProtection: true });
    respec(world, { ...fast, deletionPolicy: 'Delete', deletionProtection: true });
    expect(story(converge(world)).filter((line) => line.startsWith('delete'))).toEqual([]);
    expect(world.volumes.size).toBe(6);
  });

  test('while an instance is on its way nobody depends on it, and no Pod is made on its former volume', () => {
    const world = converged();
    respec(world, fast);
    step(world);
    expect(world.runtime.definition?.instances).toEqual(['orders-1', 'orders-2']);
    // It stays in the sync set: nothing is taken away.
    const { sync } = world.runtime;
    world.runtime = {
      ...world.runtime,
      sync: sync && { ...sync, members: [...sync.members, { instance: 'orders-3', incarnation: 'x' }] },
    };
    expect(decide(factsOf(world))).toEqual([]);
    expect(nextReplacement(factsOf(world))).toEqual({ verdict: 'wait', message: 'orders-3 is leaving the sync set' });
    world.runtime = { ...world.runtime, sync };
    world.pods.delete('orders-3');
    expect(decide(factsOf(world)).map(({ type }) => type)).toEqual(['replace-volume']);
    world.runtime = { ...world.runtime, leader: undefined };
    expect(decide(factsOf(world))).toEqual([]);
  });

  test('one that is elected meanwhile is taken in again', () => {
    const world = converged();
    respec(world, fast);
    step(world);
    const { leader } = world.runtime;
    world.runtime = { ...world.runtime, leader: leader && { ...leader, instance: 'orders-3' } };
    expect(decide(factsOf(world))).toMatchObject([
      { type: 'publish-definition', text: expect.stringContaining('"orders-3"') as unknown },
      { type: 'label-role' },
      { type: 'label-role' },
    ]);
  });

  test('the log has its own class, and both volumes are replaced together', () => {
    const walStorage = { size: '2Gi', storageClassName: 'local' };
    const world = converged({ walStorage });
    respec(world, { storage: onClass('local'), walStorage: { ...walStorage, storageClassName: 'fast' } });
    const done = story(converge(world));
    expect(done.slice(0, 5)).toEqual([
      'stop orders-3',
      'replace-volume orders-3/data/2',
      'replace-volume orders-3/wal/2',
      'keep-volume orders-3/data/1',
      'keep-volume orders-3/wal/1',
    ]);
    expect(factsOf(world).walVolumes.map(({ storageClassName, size }) => [storageClassName, size])).toEqual([
      ['fast', '2Gi'],
      ['fast', '2Gi'],
      ['fast', '2Gi'],
    ]);
    expect(factsOf(world).volumes.map(({ storageClassName }) => storageClassName)).toEqual(['local', 'local', 'local']);
  });

  test('a log made without its data is made again', () => {
    const walStorage = { size: '2Gi', storageClassName: 'local' };
    const world = converged({ walStorage });
    respec(world, { ...fast, walStorage });
    step(world);
    step(world);
    const [data] = decide(factsOf(world));
    if (data) carryOut(world, data); // and then the operator died
    settle(world);
    converge(world);
    expect([...world.volumes.keys()].filter((name) => name.startsWith('orders-3')).sort()).toEqual([
      'orders-3',
      'orders-3-v2',
      'orders-3-v2-wal',
      'orders-3-wal',
    ]);
  });

  test('a class that finds no volume stops after one, and the former class heals it without a copy', () => {
    const world = converged();
    world.emptyClasses.add('fast');
    respec(world, fast);
    for (let round = 0; round < 10; round += 1) step(world);
    expect(inUse(world)).toEqual(['orders-1 1 local', 'orders-2 1 local', 'orders-3 2 fast']);
    respec(world, { storage: onClass('local') });
    expect(story(converge(world))).toEqual(['stop orders-3', 'delete-volume orders-3/data/2']);
    expect(inUse(world)).toEqual(['orders-1 1 local', 'orders-2 1 local', 'orders-3 1 local']);
    expect(condition(world, 'Ready')).toMatchObject({ status: 'True' });
  });

  test('back again half-way: those that have moved are moved back by a copy', () => {
    const world = converged();
    respec(world, fast);
    while (!factsOf(world).volumes.some(({ serial }) => serial === 2)) step(world);
    respec(world, { storage: onClass('local') });
    expect(story(converge(world)).filter((line) => line.startsWith('replace'))).toEqual([
      'replace-volume orders-3/data/3',
    ]);
    expect(inUse(world)).toEqual(['orders-1 1 local', 'orders-2 1 local', 'orders-3 3 local']);
  });

  test('the same manifest finds the newest volumes again', () => {
    const world = converged();
    respec(world, fast);
    converge(world);
    world.pods.clear();
    world.cluster = sampleCluster(fast, { uid: '00000000-0000-4000-8000-000000000001' });
    expect(story(converge(world))).toEqual([]);
    expect([...world.pods.values()].map(({ claim }) => claim).sort()).toEqual([
      'orders-1-v2',
      'orders-2-v2',
      'orders-3-v2',
    ]);
  });

  test.each<[string, Record<string, unknown>, RegExp | undefined]>([
    ['one instance', { instances: 1 }, /no other instance to copy the data from. Set spec.instances to 2/],
    ['two, Preferred', { instances: 2 }, undefined],
    [
      'two, Strict',
      { instances: 2, durability: { mode: 'Strict' } },
      /without orders-2 all writes would wait: 1 replicas/,
    ],
    [
      'three, of which one never counts',
      { failover: { instances: [{ ordinal: 3, noSync: true }] } },
      /without orders-2/,
    ],
    [
      'three, none else may lead',
      {
        failover: {
          instances: [
            { ordinal: 2, noFailover: true },
            { ordinal: 3, noFailover: true },
          ],
        },
      },
      /no other instance may lead in place of orders-1/,
    ],
  ])('never the only copy, nor one that writes wait for: %s', (_, spec, says) => {
    const world = converged(spec);
    respec(world, { ...spec, ...fast });
    converge(world);
    const stalled = condition(world, 'Stalled');
    if (says)
      expect(stalled).toMatchObject({
        status: 'True',
        reason: 'VolumeNotReplaceable',
        message: expect.stringMatching(says) as unknown,
      });
    else expect(stalled).toMatchObject({ status: 'False' });
    expect(factsOf(world).volumes.every(({ storageClassName }) => storageClassName === 'fast')).toBe(
      says === undefined,
    );
    respec(world, { ...spec, storage: onClass('local') });
    converge(world);
    expect(condition(world, 'Ready')).toMatchObject({ status: 'True' });
  });

  test.each<[string, (world: World) => void, string]>([
    ['nobody leads', (world) => (world.runtime = { ...world.runtime, leader: undefined }), 'there is no primary now'],
    ['another is missing', (world) => void world.pods.delete('orders-2'), 'orders-2 must follow in the sync set first'],
    [
      'another has not joined the sync set',
      (world) => {
        const { sync } = world.runtime;
        world.runtime = { ...world.runtime, sync: sync && { ...sync, members: sync.members.slice(1) } };
      },
      'orders-2 must follow in the sync set first',
    ],
  ])('waits while %s', (_, change, message) => {
    const world = converged();
    const volume = world.volumes.get('orders-2');
    if (volume) world.volumes.set('orders-2', { ...volume, storageClassName: 'fast' });
    respec(world, fast);
    change(world);
    expect(nextReplacement(factsOf(world))).toEqual({ verdict: 'wait', message });
    expect(decide(factsOf(world)).filter((action) => isRisky(action) || action.type === 'replace-volume')).toEqual([]);
  });

  test('nothing without etcd, and nothing where the spec names no class', () => {
    const world = converged();
    respec(world, fast);
    world.etcdAnswers = false;
    expect(decide(factsOf(world))).toEqual([]);
    const any = newWorld(sampleCluster());
    converge(any);
    for (const [name, volume] of any.volumes) any.volumes.set(name, { ...volume, storageClassName: 'other' });
    expect(decide(factsOf(any))).toEqual([]);
  });
});

describe('a volume that is gone with its node', () => {
  /** Node of orders-2 is gone; its Pod was made anew and no node takes it. */
  function stranded(spec: Record<string, unknown> = {}, instance = 'orders-2'): World {
    const world = converged(spec);
    world.stranded = new Map([[instance, 'n2']]);
    const pod = world.pods.get(instance);
    if (pod)
      world.pods.set(instance, {
        ...pod,
        node: undefined,
        phase: 'Pending',
        ready: false,
        running: false,
        unschedulable: { since: world.now, message: 'node affinity conflict' },
      });
    const { sync, members } = world.runtime;
    const left = new Map([...members].filter(([name]) => name !== instance));
    world.runtime = {
      ...world.runtime,
      members: left,
      sync: sync && { ...sync, members: sync.members.filter((voter) => voter.instance !== instance) },
    };
    return world;
  }
  const after = (world: World, minutes: number): World => {
    world.now += minutes * 60_000;
    return world;
  };

  test('waits for its delay, and says until when', () => {
    const world = after(stranded(), 9);
    expect(decide(factsOf(world))).toEqual([]);
    expect(condition(world, 'Reconciling')).toMatchObject({
      status: 'True',
      reason: 'ReplacingVolumes',
      message: expect.stringMatching(
        /orders-2 \(claim orders-2\) is on node n2, which does not exist .* at 2026-11-21T08:10:00Z/,
      ) as unknown,
    });
    expect(condition(world, 'Stalled')).toMatchObject({ status: 'False' });
  });

  test('then gets another, on which it is cloned; the claim of the lost one is kept', () => {
    const world = after(stranded(), 10);
    expect(decide(factsOf(world))).toMatchObject([
      { type: 'replace-volume', instance: 'orders-2', serial: 2, because: 'lost', former: 'orders-2' },
    ]);
    step(world);
    world.stranded = new Map();
    expect(story(converge(world))).toEqual(['stop orders-2', 'keep-volume orders-2/data/1']);
    expect(world.pods.get('orders-2')?.claim).toBe('orders-2-v2');
  });

  test('counted still, as with two instances: it is replaced, as the recorded primary serves', () => {
    const world = after(stranded({ instances: 2, durability: { mode: 'Strict' } }), 10);
    const { sync } = world.runtime;
    world.runtime = {
      ...world.runtime,
      sync: sync && { ...sync, members: [{ instance: 'orders-2', incarnation: 'orders-2' }] },
    };
    expect(decide(factsOf(world)).map(({ type }) => type)).toContain('replace-volume');
  });

  test.each<[string, Record<string, unknown>, (world: World) => void, RegExp]>([
    [
      'nobody serves',
      {},
      (world) => (world.runtime = { ...world.runtime, leader: undefined }),
      /until another instance serves/,
    ],
    [
      'it is the recorded primary',
      {},
      (world) => {
        const { sync } = world.runtime;
        world.runtime = {
          ...world.runtime,
          sync: sync && { ...sync, primary: { instance: 'orders-2', incarnation: 'x' } },
        };
      },
      /until another instance serves/,
    ],
    [
      'the primary is not open yet',
      {},
      (world) => {
        const [name, member] = [...world.runtime.members][0] ?? [];
        if (name !== undefined && member)
          world.runtime = {
            ...world.runtime,
            members: new Map(world.runtime.members).set(name, { ...member, state: 'promoting' }),
          };
      },
      /until another instance serves/,
    ],
    [
      'the primary leads by force',
      {},
      (world) => {
        const [first] = world.runtime.history;
        const forced = { request: 'x', reason: 'gone', missing: ['orders-2'] };
        world.runtime = { ...world.runtime, history: first ? [{ ...first, forced }] : [] };
      },
      /became primary by force, and orders-2 may hold writes/,
    ],
    [
      'it led, and no write waited for a replica',
      { durability: { mode: 'Async' } },
      (world) => {
        const [first] = world.runtime.history;
        if (first)
          world.runtime = {
            ...world.runtime,
            history: [
              { ...first, winner: 'orders-2' },
              { ...first, epoch: 2, reason: 'LeaseExpired' },
            ],
          };
      },
      /It was primary until orders-1 took over/,
    ],
    ['Never', { replication: { replaceLostVolumesAfter: 'Never' } }, () => undefined, /is Never/],
  ])('not while %s', (_, spec, change, says) => {
    const world = after(stranded(spec), 60);
    change(world);
    expect(decide(factsOf(world)).filter(({ type }) => type === 'replace-volume')).toEqual([]);
    const next = nextReplacement(factsOf(world));
    expect(next.verdict === 'wait' || next.verdict === 'stuck' ? next.message : '').toMatch(says);
  });

  test('its node comes back when another volume is made already: what it holds is given up only when nobody depends on it', () => {
    const world = after(stranded(), 10);
    for (const action of decide(factsOf(world))) carryOut(world, action);
    world.stranded = new Map();
    settle(world);
    expect(world.pods.get('orders-2')).toMatchObject({ claim: 'orders-2', running: true });
    expect(decide(factsOf(world))).toMatchObject([{ type: 'publish-definition' }]);
    for (const action of decide(factsOf(world))) carryOut(world, action);
    // It is counted still.
    expect(decide(factsOf(world))).toEqual([]);
    settle(world);
    expect(story(converge(world))).toEqual(['stop orders-2', 'keep-volume orders-2/data/1']);
    expect(world.pods.get('orders-2')?.claim).toBe('orders-2-v2');
  });

  test('the claim deleted by hand: another is made, under another name if there is a former one', () => {
    const world = converged();
    respec(world, fast);
    converge(world);
    world.volumes.delete('orders-2-v2');
    world.pods.delete('orders-2');
    converge(world);
    expect(world.pods.get('orders-2')?.claim).toBe('orders-2-v2');
    expect(inUse(world)).toContain('orders-2 2 fast');
  });
});

test.each([
  ['all is well', {}, true],
  ['another epoch', { epoch: 4 }, false],
  ['it leads itself', { leader: { instance: 'b', incarnation: 'b', epoch: 3, lease: '1' } }, false],
  ['nobody leads', { leader: undefined }, false],
  ['etcd knows no sync set', { sync: undefined }, false],
  [
    'another life of the primary is the recorded one',
    { leader: { instance: 'a', incarnation: 'z', epoch: 3, lease: '1' } },
    false,
  ],
])('beginning anew: %s', (_, change, allowed) => {
  const dependents = {
    epoch: 3,
    leader: { instance: 'a', incarnation: 'a', epoch: 3, lease: '1' },
    sync: { epoch: 3, primary: { instance: 'a', incarnation: 'a' }, members: [], acknowledgements: 1 },
    members: new Map([
      ['a', { state: 'running' as const, incarnation: 'a' }],
      ['b', { state: 'running' as const, incarnation: 'b' }],
    ]),
  };
  expect(mayBeginAnew({ ...dependents, ...change }, 'b')).toBe(allowed);
});

const numberOf = (instance: string): number => Number(instance.slice(-1));

const change = fc.record({
  storage: fc.constantFrom('local', 'fast', 'other').map(onClass),
  instances: fc.integer({ min: 1, max: 5 }),
  deletionPolicy: fc.constantFrom('Retain', 'Delete'),
});
const interruption = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 5 }), fc.boolean());

test('whatever is asked for while volumes move: no instance that counts loses its volume, never two at a time, and it ends', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(change, interruption), { minLength: 1, maxLength: 4 }), (changes) => {
      const world = converged();
      const check = (actions: readonly Action[]) => {
        expect(actions.filter(isRisky).length).toBeLessThanOrEqual(1);
        const { leader, sync } = world.runtime;
        const counts = [leader?.instance, sync?.primary.instance, ...(sync?.members ?? []).map((m) => m.instance)];
        for (const action of actions) {
          if (action.type === 'delete-pod' && action.why === 'volume-replacement') {
            const unused =
              world.volumes.get(world.pods.get(action.instance)?.claim ?? '')?.persistentVolume === undefined;
            expect(unused || !counts.includes(action.instance)).toBe(true);
          }
          if (action.type === 'replace-volume') expect(counts).not.toContain(action.instance);
          if (action.type === 'delete-volume') {
            const isCurrent = factsOf(world).volumes.some(
              ({ instance, serial }) => instance === action.instance && serial === action.serial,
            );
            if (isCurrent && action.why !== 'never-used') expect(counts).not.toContain(action.instance);
            if (action.why === 'replaced') expect(isCurrent).toBe(false);
          }
        }
        const [published] = actions.flatMap((action) => (action.type === 'publish-definition' ? [action.text] : []));
        const staying =
          published === undefined ? undefined : (JSON.parse(published) as { instances: string[] }).instances;
        const left = (world.runtime.definition?.instances ?? []).filter(
          (instance) => numberOf(instance) <= world.cluster.spec.instances && staying?.includes(instance) === false,
        );
        expect(left.length).toBeLessThanOrEqual(1);
      };
      for (const [spec, [rounds, n, kills]] of changes) {
        respec(world, spec);
        for (let round = 0; round < rounds; round += 1) {
          check(decide(factsOf(world)));
          step(world);
        }
        if (kills) world.pods.delete(`orders-${n}`);
      }
      const [last] = changes.at(-1) ?? [];
      converge(world, check);
      const moved = factsOf(world).volumes.filter(({ instance }) => numberOf(instance) <= world.cluster.spec.instances);
      if (world.cluster.spec.instances > 1)
        expect(moved.every(({ storageClassName }) => storageClassName === last?.storage.storageClassName)).toBe(true);
      expect([...world.pods.keys()]).toHaveLength(world.cluster.spec.instances);
    }),
    { numRuns: 15 },
  );
});
