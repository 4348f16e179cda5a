import { tlsFingerprint } from '../../api/tls-files.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sampleCluster, sampleUid } from '../../resources/sample-cluster.ts';
import { isRisky, type Action } from './actions.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, settledFiles, type World } from './modelled-world.ts';
import { statusFor } from './status.ts';

/** Decides, acts and lets the others work until nothing is left to do; returns everything that was done. */
function converge(world: World, check: (actions: readonly Action[]) => void = () => undefined): readonly Action[] {
  const done: Action[] = [];
  for (let round = 0; round < 100; round += 1) {
    const actions = decide(factsOf(world));
    check(actions);
    if (actions.length === 0) return done;
    for (const action of actions) carryOut(world, action);
    done.push(...actions);
    settle(world);
  }
  throw new Error(`no end in sight: ${JSON.stringify(decide(factsOf(world)).map((action) => action.type))}`);
}

function converged(spec: Record<string, unknown> = {}): World {
  const world = newWorld(sampleCluster(spec));
  converge(world);
  return world;
}

const types = (actions: readonly Action[]) => actions.map((action) => action.type);
const removed = (actions: readonly Action[]) =>
  actions.flatMap((action) => (action.type === 'delete-pod' ? [action.instance] : []));

describe('write-ahead logs on volumes of their own', () => {
  const walStorage = { size: '2Gi' };

  test('are made before the Pods, grow, and go with the instance', () => {
    const world = newWorld(sampleCluster({ walStorage, deletionPolicy: 'Delete' }));
    for (const action of decide(factsOf(world)))
      if (action.type !== 'apply-volume' || action.holds === 'data') carryOut(world, action);
    expect(types(decide(factsOf(world)))).not.toContain('create-pod');
    converge(world);
    const ofWal = () => [...world.volumes].filter(([name]) => name.endsWith('-wal'));
    expect(ofWal().map(([name, { instance, size }]) => [name, instance, size])).toEqual([
      ['orders-1-wal', 'orders-1', '2Gi'],
      ['orders-2-wal', 'orders-2', '2Gi'],
      ['orders-3-wal', 'orders-3', '2Gi'],
    ]);
    respec(world, { walStorage: { size: '3Gi' }, deletionPolicy: 'Delete' });
    converge(world);
    expect(ofWal().map(([, { size }]) => size)).toEqual(['3Gi', '3Gi', '3Gi']);
    expect(world.volumes.get('orders-1')?.size).toBe('1Gi');
    respec(world, { walStorage: { size: '3Gi' }, deletionPolicy: 'Delete', instances: 2 });
    converge(world);
    expect([...world.volumes.keys()].filter((name) => name.startsWith('orders-3'))).toEqual([]);
  });

  test('that are there and not asked for: no Pod is made on data without their log', () => {
    const world = converged({ walStorage });
    world.pods.clear();
    world.cluster = sampleCluster({}, { uid: '00000000-0000-4000-8000-000000000001' });
    expect(types(converge(world))).not.toContain('create-pod');
    expect(statusFor(factsOf(world)).conditions).toContainEqual(
      expect.objectContaining({
        type: 'Stalled',
        reason: 'VolumeConflict',
        message: expect.stringMatching(/orders-1-wal, .* spec\.walStorage is not set/) as unknown,
      }),
    );
  });
});

test('a delayed replica is kept out of -ro', () => {
  const world = converged({ failover: { instances: [{ ordinal: 3, replayDelay: '1h' }] } });
  expect([...world.pods.values()].map(({ roleLabel }) => roleLabel)).toEqual(['primary', 'replica', 'delayed-replica']);
});

describe('a new cluster', () => {
  test('gets its objects, then volumes, the definition, and Pods once the volumes are there', () => {
    const world = newWorld(sampleCluster());
    const first = decide(factsOf(world));
    expect(new Set(types(first))).toEqual(
      new Set(['apply', 'create-once', 'apply-volume', 'publish-declaration', 'publish-definition']),
    );
    for (const action of first) carryOut(world, action);
    expect(decide(factsOf(world)).map((action) => [action.type, 'instance' in action && action.instance])).toEqual([
      ['create-pod', 'orders-1'],
      ['create-pod', 'orders-2'],
      ['create-pod', 'orders-3'],
    ]);
  });

  test('ends with nothing to do', () => {
    expect(decide(factsOf(converged()))).toEqual([]);
  });

  test('is made without etcd too, all but the definition', () => {
    const world = newWorld(sampleCluster());
    world.etcdAnswers = false;
    const done = converge(world);
    expect(types(done)).not.toContain('publish-definition');
    expect(world.pods.size).toBe(3);
  });

  test('takes volumes of an earlier life with their identity', () => {
    const world = converged();
    world.pods.clear();
    world.cluster = sampleCluster({}, { uid: '00000000-0000-4000-8000-000000000001' });
    expect(factsOf(world).dataUid).toBe(sampleUid);
    const done = converge(world);
    expect(types(done)).not.toContain('apply-volume');
    expect(world.pods.size).toBe(3);
  });

  test('is not made empty under the name of one whose volumes are gone', () => {
    const world = converged();
    world.pods.clear();
    world.volumes.clear();
    expect(types(decide(factsOf(world)))).toEqual([]);
  });

  test('leaves objects of others alone', () => {
    const world = newWorld(sampleCluster());
    const foreign = { uid: 'x', resourceVersion: '1', ours: false, intent: undefined, owners: [], deleting: false };
    world.objects.set('Service/orders-rw', foreign);
    expect(decide(factsOf(world))).not.toContainEqual(
      expect.objectContaining({ desired: expect.objectContaining({ name: 'orders-rw' }) }),
    );
  });
});

describe('Pods', () => {
  test('one that is gone is made again', () => {
    const world = converged();
    world.pods.delete('orders-2');
    expect(types(converge(world))).toEqual(['create-pod', 'label-role']);
  });

  const lost = (change: (world: World) => void): readonly Action[] => {
    const world = converged();
    const pod = world.pods.get('orders-2');
    if (pod) world.pods.set('orders-2', { ...pod, deleting: true, ready: false });
    change(world);
    return decide(factsOf(world));
  };
  const node = (state: object) => (world: World) => {
    const name = world.pods.get('orders-2')?.node ?? '';
    world.nodes.set(name, { ready: false, draining: false, outOfService: false, zone: undefined, ...state });
  };
  test.each<[string, (world: World) => void, number]>([
    ['NotReady', node({}), 0],
    ['out of service', node({ outOfService: true }), 1],
    ['gone', (world) => world.nodes.delete(world.pods.get('orders-2')?.node ?? ''), 1],
  ])('a terminating Pod on a node that is %s', (_, change, deletions) => {
    expect(lost(change).filter(isRisky)).toHaveLength(deletions);
  });

  test('one that has ended makes room', () => {
    const world = converged();
    const pod = world.pods.get('orders-3');
    if (pod) world.pods.set('orders-3', { ...pod, phase: 'Failed', ready: false, running: false });
    expect(decide(factsOf(world))).toMatchObject([{ type: 'delete-pod', instance: 'orders-3', why: 'ended' }]);
  });
});

describe('a change that replaces Pods', () => {
  const resources = { resources: { limits: { memory: '1Gi' } } };

  test('goes one at a time, replicas first, the primary last and after a switchover', () => {
    const world = converged();
    respec(world, resources);
    const done = converge(world);
    expect(removed(done)).toEqual(['orders-3', 'orders-2', 'orders-1']);
    const order = done.filter((action) => action.type === 'request-switchover' || action.type === 'delete-pod');
    expect(order.map((action) => action.type)).toEqual([
      'delete-pod',
      'delete-pod',
      'request-switchover',
      'delete-pod',
    ]);
  });

  test('waits while another instance is missing', () => {
    const world = converged();
    world.sick.add('orders-2');
    settle(world);
    respec(world, resources);
    const [step] = decide(factsOf(world)).filter(isRisky);
    // orders-2 does not run: to replace it costs nothing. Nobody else may go.
    expect(step).toMatchObject({ instance: 'orders-2' });
    const pod = world.pods.get('orders-2');
    if (pod) world.pods.set('orders-2', { ...pod, running: true, ready: false });
    expect(removed(decide(factsOf(world)))).toEqual(['orders-2']);
  });

  test('waits for the only other member of the sync set', () => {
    const world = converged();
    const { sync } = world.runtime;
    world.runtime = { ...world.runtime, sync: sync && { ...sync, members: sync.members.slice(1) } };
    respec(world, resources);
    expect(removed(decide(factsOf(world)))).toEqual(['orders-2']);
    world.runtime = { ...world.runtime, sync: sync && { ...sync, members: [] } };
    expect(removed(decide(factsOf(world)))).toEqual([]);
  });

  test('of Pods that have never run goes on although nobody is well', () => {
    const world = newWorld(sampleCluster());
    ['orders-1', 'orders-2', 'orders-3'].forEach((instance) => world.sick.add(instance));
    converge(world);
    respec(world, resources);
    const done = converge(world);
    expect(removed(done).sort()).toEqual(['orders-1', 'orders-2', 'orders-3']);
  });

  test('needs etcd', () => {
    const world = converged();
    world.etcdAnswers = false;
    respec(world, resources);
    expect(decide(factsOf(world)).filter(isRisky)).toEqual([]);
  });

  test('of a refused switchover is not asked for again at once', () => {
    const world = converged();
    respec(world, resources);
    for (let round = 0; round < 20 && !types(decide(factsOf(world))).includes('request-switchover'); round += 1) {
      for (const action of decide(factsOf(world))) carryOut(world, action);
      settle(world);
    }
    world.sinceSwitchoverRequestMs = 5_000;
    expect(types(decide(factsOf(world)))).not.toContain('request-switchover');
  });

  test('restarts a single instance without further ado', () => {
    const world = converged({ instances: 1 });
    respec(world, resources);
    expect(removed(converge(world))).toEqual(['orders-1']);
  });
});

describe('scaling in', () => {
  test('takes the definition first, then Pods one at a time, and keeps the volumes', () => {
    const world = converged({ instances: 5 });
    respec(world, { instances: 3 });
    const first = decide(factsOf(world));
    expect(types(first)).toEqual(['publish-definition']);
    expect(removed(converge(world))).toEqual(['orders-5', 'orders-4']);
    expect([...world.volumes.keys()].sort()).toHaveLength(5);
  });

  test('of a member of the sync set waits', () => {
    const world = converged();
    respec(world, { instances: 2 });
    for (const action of decide(factsOf(world))) carryOut(world, action);
    expect(decide(factsOf(world))).toEqual([]);
  });

  test('waits while etcd knows of no sync set: the instance may hold the only data', () => {
    const world = converged({ instances: 5, deletionPolicy: 'Delete' });
    respec(world, { instances: 3 });
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
    expect(removed(decide(factsOf(world)))).toEqual(['orders-5']);
    world.runtime = { ...world.runtime, sync: undefined, leader: undefined };
    expect(removed(decide(factsOf(world)))).toEqual([]);
  });

  test('of the primary asks for a switchover to one that stays, and keeps it defined until then', () => {
    const world = converged();
    const request = { id: 'x', from: 'orders-1', to: 'orders-3', reason: 'test', deadline: '', modRevision: 1 };
    world.runtime = { ...world.runtime, switchover: request };
    settle(world);
    converge(world);
    expect(world.runtime.leader?.instance).toBe('orders-3');
    respec(world, { instances: 2 });
    const first = decide(factsOf(world));
    expect(types(first)).toEqual(['publish-definition', 'request-switchover']);
    expect(first[0]).toMatchObject({ text: expect.stringContaining('orders-3') });
    expect(removed(converge(world))).toEqual(['orders-3']);
  });

  test('deletes volumes only with deletionPolicy Delete', () => {
    const world = converged({ deletionPolicy: 'Delete' });
    respec(world, { instances: 2 });
    converge(world);
    expect([...world.volumes.keys()]).toEqual(['orders-1', 'orders-2']);
  });

  test('keeps what was retained earlier when the policy becomes Delete', () => {
    const world = converged();
    respec(world, { instances: 2 });
    converge(world);
    respec(world, { deletionPolicy: 'Delete' });
    converge(world);
    expect(world.volumes.has('orders-3')).toBe(true);
  });

  test('and out again uses the volume again', () => {
    const world = converged();
    respec(world, { instances: 2 });
    converge(world);
    const before = world.volumes.get('orders-3')?.uid;
    respec(world, { instances: 3 });
    converge(world);
    expect(world.volumes.get('orders-3')?.uid).toBe(before);
    expect(world.pods.has('orders-3')).toBe(true);
  });
});

describe('deletion', () => {
  const deleted = (world: World): World => {
    world.cluster = {
      ...world.cluster,
      metadata: { ...world.cluster.metadata, deletionTimestamp: new Date(world.now).toISOString() },
    };
    return world;
  };

  test('with Retain needs nothing from us', () => {
    expect(decide(factsOf(deleted(converged())))).toEqual([]);
  });

  test('with Delete: Pods, state in etcd, finalizer', () => {
    const world = deleted(converged({ deletionPolicy: 'Delete' }));
    expect(types(converge(world))).toEqual([
      'delete-pod',
      'delete-pod',
      'delete-pod',
      'delete-state',
      'remove-finalizer',
    ]);
  });

  test('with Delete keeps the history of volumes that stay', () => {
    const world = converged({ instances: 4 });
    respec(world, { instances: 3 });
    converge(world);
    respec(world, { deletionPolicy: 'Delete' });
    converge(world);
    expect(types(converge(deleted(world)))).not.toContain('delete-state');
    expect(world.cluster.metadata.finalizers).toEqual([]);
  });

  test('with Delete does not hang for ever when a Pod can’t end or etcd is gone', () => {
    const world = deleted(converged({ deletionPolicy: 'Delete' }));
    world.etcdAnswers = false;
    world.now += 301_000;
    expect(types(decide(factsOf(world)))).toEqual(['remove-finalizer']);
  });

  test('after a last-minute change to Retain frees the data first', () => {
    const world = converged({ deletionPolicy: 'Delete' });
    respec(world, { deletionPolicy: 'Retain' });
    deleted(world);
    converge(world);
    expect([...world.volumes.values()].flatMap((volume) => volume.owners)).toEqual([]);
    expect(world.objects.get('Secret/orders-app')?.owners).toEqual([]);
    expect(world.cluster.metadata.finalizers).toEqual([]);
  });
});

test('the policy decides who owns volumes and Secrets, and the finalizer', () => {
  const world = converged();
  respec(world, { deletionPolicy: 'Delete' });
  converge(world);
  expect([...world.volumes.values()].map((volume) => volume.owners)).toEqual([[sampleUid], [sampleUid], [sampleUid]]);
  expect(world.objects.get('Secret/orders-system')?.owners).toEqual([sampleUid]);
  expect(world.cluster.metadata.finalizers).toEqual(['mainstay.dev/cleanup']);
  respec(world, { deletionPolicy: 'Retain' });
  converge(world);
  expect([...world.volumes.values()].flatMap((volume) => volume.owners)).toEqual([]);
  expect(world.cluster.metadata.finalizers).toEqual([]);
});

test('volumes grow and never shrink', () => {
  const world = converged();
  respec(world, { storage: { size: '2Gi' } });
  expect(types(converge(world))).toEqual(['apply-volume', 'apply-volume', 'apply-volume', 'publish-definition']);
  expect([...world.volumes.values()].map((volume) => volume.size)).toEqual(['2Gi', '2Gi', '2Gi']);
});

describe('instances that differ', () => {
  const tagsOf = (world: World) => world.runtime.definition?.tags;
  const zoned = (failover: Record<string, unknown>): World => {
    const world = newWorld(sampleCluster({ failover }));
    for (const [name, node] of world.nodes) world.nodes.set(name, { ...node, zone: name === 'n1' ? 'a' : 'b' });
    converge(world);
    world.cluster = { ...world.cluster, status: statusFor(factsOf(world)) };
    return world;
  };

  test('those in the preferred zone are told to the agents, and moves of instances too', () => {
    const world = zoned({ preferredZone: 'a' });
    expect(tagsOf(world)).toEqual({ 'orders-1': { priority: 1000, noFailover: false, noSync: false } });
    const pod = world.pods.get('orders-2');
    if (pod) world.pods.set('orders-2', { ...pod, node: 'n1' });
    converge(world);
    expect(Object.keys(tagsOf(world) ?? {})).toEqual(['orders-1', 'orders-2']);
  });

  test.each<[string, (world: World) => void]>([
    ['its node is gone', (world) => world.nodes.delete('n1')],
    [
      'its Pod waits for a node',
      (world) => {
        const pod = world.pods.get('orders-1');
        if (pod) world.pods.set('orders-1', { ...pod, node: undefined });
      },
    ],
  ])('an instance keeps its zone while %s', (_, change) => {
    const world = zoned({ preferredZone: 'a' });
    change(world);
    expect(types(decide(factsOf(world)))).not.toContain('publish-definition');
    world.cluster = { ...world.cluster, status: statusFor(factsOf(world)) };
    expect(types(decide(factsOf(world)))).not.toContain('publish-definition');
  });

  test('one that never leads is not asked to, and the one with the highest priority is', () => {
    const instances = [
      { ordinal: 2, noFailover: true },
      { ordinal: 3, priority: -1 },
    ];
    const world = converged({ failover: { instances } });
    respec(world, { resources: { limits: { memory: '1Gi' } } });
    expect(converge(world).filter(({ type }) => type === 'request-switchover')).toMatchObject([{ to: 'orders-3' }]);
  });

  test('where nobody else may lead, the primary is restarted without a switchover', () => {
    const world = converged({ instances: 2, failover: { instances: [{ ordinal: 2, noFailover: true }] } });
    respec(world, { resources: { limits: { memory: '1Gi' } } });
    expect(removed(converge(world))).toEqual(['orders-2', 'orders-1']);
  });

  test('the only one that acknowledges can be replaced all the same', () => {
    const world = converged({ failover: { instances: [{ ordinal: 3, noSync: true }] } });
    const { sync } = world.runtime;
    world.runtime = { ...world.runtime, sync: sync && { ...sync, members: sync.members.slice(0, 1) } };
    respec(world, { resources: { limits: { memory: '1Gi' } } });
    world.pods.delete('orders-3');
    for (const action of decide(factsOf(world)).filter(({ type }) => type !== 'delete-pod')) carryOut(world, action);
    for (const [name, value] of world.pods) world.pods.set(name, { ...value, ready: true, running: true });
    expect(removed(decide(factsOf(world)))).toEqual(['orders-2']);
  });
});

test('a Secret is made anew when it is lost; its new password is published as soon as it is seen', () => {
  const world = converged();
  world.objects.delete('Secret/orders-app');
  expect(decide(factsOf(world))).toMatchObject([{ type: 'create-once', isLost: true }]);
  converge(world);
  world.passwords = { ...world.passwords, known: new Map([['app', { verifier: 'v2', revision: 'u/2/password' }]]) };
  expect(types(decide(factsOf(world)))).toEqual(['publish-declaration']);
  expect(types(converge(world))).toEqual(['publish-declaration']);
});

test('an existing Secret for the application: none is made', () => {
  const world = newWorld(sampleCluster({ application: { passwordSecret: { name: 'mine' } } }));
  converge(world);
  expect([...world.objects.keys()]).not.toContain('Secret/orders-app');
  expect([...world.objects.keys()]).toContain('Secret/orders-system');
});

test('a paused cluster is left alone', () => {
  const world = converged();
  world.pods.delete('orders-2');
  respec(world, { paused: true });
  expect(decide(factsOf(world))).toEqual([]);
});

test('the budget goes with the second instance', () => {
  const world = converged({ instances: 2 });
  respec(world, { instances: 1 });
  expect(types(converge(world))).toContain('delete-object');
});

test('a request that nobody answers is withdrawn after its deadline', () => {
  const world = converged();
  const deadline = new Date(world.now).toISOString();
  world.runtime = {
    ...world.runtime,
    switchover: { id: 'x', from: 'orders-1', reason: 'test', deadline, modRevision: 7 },
  };
  expect(decide(factsOf(world))).toEqual([]);
  world.now += 6_000;
  expect(decide(factsOf(world))).toEqual([{ type: 'withdraw-switchover', from: 'orders-1', modRevision: 7 }]);
  const restart = { id: 'x', reason: 'test', deadline, modRevision: 8 };
  world.runtime = { ...world.runtime, switchover: undefined, restarts: new Map([['orders-2', restart]]) };
  expect(decide(factsOf(world))).toEqual([{ type: 'withdraw-restart', instance: 'orders-2', modRevision: 8 }]);
});

const anySpec = fc.record({
  instances: fc.integer({ min: 1, max: 5 }),
  deletionPolicy: fc.constantFrom('Retain', 'Delete'),
  storage: fc.record({ size: fc.constantFrom('1Gi', '2Gi') }),
  resources: fc.constantFrom({}, { limits: { memory: '1Gi' } }),
  affinity: fc.record({ nodeSpread: fc.constantFrom('Required', 'Preferred') }),
});
type Mishap = (world: World) => void;
const mishap = fc.oneof(
  fc.constant<Mishap>(() => undefined),
  fc.integer({ min: 1, max: 5 }).map<Mishap>((n) => (world) => world.pods.delete(`orders-${n}`)),
  fc.integer({ min: 1, max: 5 }).map<Mishap>((n) => (world) => {
    const pod = world.pods.get(`orders-${n}`);
    if (pod) world.pods.set(pod.instance, { ...pod, phase: 'Failed', ready: false, running: false });
  }),
  fc.integer({ min: 1, max: 5 }).map<Mishap>((n) => (world) => {
    const to = `orders-${n}`;
    const from = world.runtime.leader?.instance ?? '';
    if (world.pods.get(to)?.ready !== true || to === from) return;
    const request = { id: 'x', from, to, reason: 'test', deadline: '', modRevision: 1 };
    world.runtime = { ...world.runtime, switchover: request };
    settle(world);
  }),
);

test('whatever was there: it converges, at most one risky action at a time, and no volume goes that must stay', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anySpec, mishap), { minLength: 1, maxLength: 5 }), (changes) => {
      const world = newWorld(sampleCluster());
      converge(world);
      for (const [spec, happen] of changes) {
        happen(world);
        const size = world.cluster.spec.storage.size === '2Gi' ? '2Gi' : spec.storage.size;
        respec(world, { ...spec, storage: { size } });
        converge(world, (actions) => {
          const risky = actions.filter(isRisky);
          expect(risky.length).toBeLessThanOrEqual(1);
          for (const action of risky) {
            const { leader, sync } = world.runtime;
            const counts = [leader?.instance, sync?.primary.instance, ...(sync?.members ?? []).map((m) => m.instance)];
            const isSurplus = Number(action.instance.split('-')[1]) > world.cluster.spec.instances;
            if (action.type === 'delete-volume') {
              expect(isSurplus && world.cluster.spec.deletionPolicy === 'Delete').toBe(true);
              expect(counts).not.toContain(action.instance);
              expect(world.pods.has(action.instance)).toBe(false);
            } else if (action.why === 'surplus') expect(counts).not.toContain(action.instance);
            else if (action.why === 'outdated' && world.cluster.spec.instances > 1)
              expect(action.instance).not.toBe(leader?.instance);
          }
        });
        expect([...world.pods.keys()].sort()).toEqual(
          Array.from({ length: world.cluster.spec.instances }, (_, index) => `orders-${index + 1}`),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('an etcd that has forgotten a cluster is told that it had data', () => {
  const published = (world: World): unknown => {
    const action = decide(factsOf(world)).find(({ type }) => type === 'publish-definition');
    return action?.type === 'publish-definition' ? JSON.parse(action.text) : undefined;
  };
  const world = converged();
  world.cluster = { ...world.cluster, status: statusFor(factsOf(world)) };
  world.runtime = { ...world.runtime, definition: undefined, initialized: false };
  expect(published(world)).toMatchObject({ founded: true });
  expect(published(newWorld(sampleCluster()))).not.toHaveProperty('founded');
});

test('an instance with other certificates than there are is told so once, and one that says nothing is not', () => {
  const world = converged();
  const members = [...world.runtime.members].map(([name, it]): [string, typeof it] => [
    name,
    name === 'orders-3' ? it : { ...it, certificates: name === 'orders-1' ? 'old' : tlsFingerprint(settledFiles) },
  ]);
  world.runtime = { ...world.runtime, members: new Map(members) };
  const told = decide(factsOf(world)).filter(({ type }) => type === 'announce-certificates');
  expect(told).toEqual([
    { type: 'announce-certificates', instance: 'orders-1', fingerprint: tlsFingerprint(settledFiles) },
  ]);
  for (const action of told) carryOut(world, action);
  expect(types(decide(factsOf(world)))).not.toContain('announce-certificates');
});

test('passwords between instances end for good when all have certificates', () => {
  const world = converged();
  const tell = (names: readonly string[]): void => {
    const members = [...world.runtime.members].map(([name, it]): [string, typeof it] => [
      name,
      { ...it, certificates: names.includes(name) ? 'x' : undefined },
    ]);
    world.runtime = { ...world.runtime, members: new Map(members) };
  };
  const published = (): unknown => {
    const [action] = decide(factsOf(world)).filter((one) => one.type === 'publish-definition');
    if (action) carryOut(world, action);
    return (JSON.parse(world.runtime.definition?.text ?? '{}') as { tls?: unknown }).tls;
  };
  tell(['orders-1', 'orders-2']);
  expect(published()).toMatchObject({ certificatesOnly: false });
  tell(['orders-1', 'orders-2', 'orders-3']);
  expect(published()).toMatchObject({ certificatesOnly: true });
  tell([]);
  expect(published()).toMatchObject({ certificatesOnly: true });
});

test('while there are no certificates, no Pod is made, and none is taken away for another', () => {
  const world = converged();
  const { certificates } = world;
  world.certificates = { ...certificates, files: undefined, plan: { step: 'wait-for-user' } };
  respec(world, { pod: { labels: { team: 'shop' } } });
  expect(types(decide(factsOf(world)))).not.toContain('delete-pod');
  world.pods.delete('orders-3');
  expect(types(decide(factsOf(world)))).not.toContain('create-pod');
  world.certificates = certificates;
  expect(types(converge(world))).toEqual(expect.arrayContaining(['delete-pod', 'create-pod']));
});
