import { describe, expect, test } from '@jest/globals';
import type { Condition } from '../../api/cluster-status.ts';
import type { ClusterStatus } from '../../api/database-cluster.ts';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { eventsBetween } from './cluster-events.ts';
import { decide } from './decide.ts';
import { invalidSpecStatus } from './invalid-spec.ts';
import { carryOut, factsOf, member, newWorld, respec, settle, type World } from './modelled-world.ts';
import { statusFor } from './status.ts';
import { outageNotices } from './outage-notices.ts';
import { statusChange, statusPatch } from './status-change.ts';

/** A world at rest, with the status that the operator would have written. */
function atRest(spec: Record<string, unknown> = {}): World {
  const world = newWorld(sampleCluster(spec));
  for (let round = 0; round < 20; round += 1) {
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
  }
  writeStatus(world);
  return world;
}

function writeStatus(world: World): ClusterStatus {
  const status = statusFor(factsOf(world));
  world.cluster = { ...world.cluster, status };
  return status;
}

const condition = (status: ClusterStatus, type: string): Condition | undefined =>
  status.conditions?.find((candidate) => candidate.type === type);
const brief = (status: ClusterStatus) =>
  Object.fromEntries((status.conditions ?? []).map(({ type, status: is, reason }) => [type, `${is} ${reason}`]));

describe('conditions', () => {
  const well = {
    Ready: 'True Converged',
    Reconciling: 'False Done',
    Stalled: 'False Progressing',
    Available: 'True PrimaryRunning',
    Degraded: 'False FullyRedundant',
    SyncQuorumSatisfied: 'True QuorumPresent',
    PendingRestart: 'False NothingPending',
    CertificatesValid: 'True Valid',
    LossAccepted: 'False NotForced',
    DiskPressure: 'False EnoughRoom',
    DataCorrupted: 'False NoneFound',
    RolesReady: 'True NothingAsked',
    DatabasesReady: 'True NothingAsked',
  };
  const silence = (world: World, instance: string): void => {
    const members = new Map(world.runtime.members);
    members.delete(instance);
    world.runtime = { ...world.runtime, members };
    const pod = world.pods.get(instance);
    if (pod) world.pods.set(instance, { ...pod, ready: false });
  };
  const { runtime } = atRest();

  test.each<[string, (world: World) => void, Record<string, string>]>([
    ['all is well', () => undefined, well],
    [
      'a replica is lost',
      (world) => silence(world, 'orders-3'),
      { ...well, Ready: 'False Progressing', Degraded: 'True InstancesMissing' },
    ],
    [
      'the primary is lost',
      (world) => {
        silence(world, 'orders-1');
        world.runtime = { ...world.runtime, leader: undefined };
      },
      {
        ...well,
        Ready: 'False NoPrimary',
        Available: 'False NoPrimary',
        Degraded: 'True InstancesMissing',
        SyncQuorumSatisfied: 'False NoPrimary',
      },
    ],
    [
      'a new primary promotes',
      (world) => {
        const members = new Map(world.runtime.members).set(
          'orders-1',
          member('orders-1', true, 2, { state: 'promoting' }),
        );
        world.runtime = { ...world.runtime, members };
      },
      {
        ...well,
        Ready: 'False NoPrimary',
        Available: 'False PrimaryStarting',
        Degraded: 'True InstancesMissing',
        SyncQuorumSatisfied: 'False NoPrimary',
      },
    ],
    [
      'etcd is silent for long',
      (world) => {
        world.etcdAnswers = false;
      },
      {
        ...well,
        Ready: 'Unknown RuntimeUnknown',
        Available: 'Unknown RuntimeUnknown',
        Degraded: 'Unknown RuntimeUnknown',
        SyncQuorumSatisfied: 'Unknown RuntimeUnknown',
        PendingRestart: 'Unknown RuntimeUnknown',
        LossAccepted: 'Unknown RuntimeUnknown',
        DiskPressure: 'Unknown RuntimeUnknown',
        DataCorrupted: 'Unknown RuntimeUnknown',
        RolesReady: 'Unknown RuntimeUnknown',
        DatabasesReady: 'Unknown RuntimeUnknown',
      },
    ],
    [
      'the sync set can’t acknowledge',
      (world) => {
        for (const instance of ['orders-2', 'orders-3']) silence(world, instance);
      },
      {
        ...well,
        Ready: 'False Progressing',
        Degraded: 'True InstancesMissing',
        SyncQuorumSatisfied: 'False WritesBlocked',
      },
    ],
    [
      'fewer acknowledgements than asked for',
      (world) => {
        world.runtime = { ...world.runtime, sync: runtime.sync && { ...runtime.sync, acknowledgements: 0 } };
      },
      { ...well, SyncQuorumSatisfied: 'False ReducedAcknowledgements' },
    ],
    [
      'a Secret of the user can’t be used, and what was there stays',
      (world) => {
        world.certificates = { ...world.certificates, problem: 'Secret x has no tls.key: add it.' };
      },
      { ...well, CertificatesValid: 'False SecretUnusable' },
    ],
    [
      'the same before there are any',
      (world) => {
        const problem = 'Secret x has no tls.key: add it.';
        world.certificates = { ...world.certificates, problem, files: undefined, plan: { step: 'wait-for-user' } };
      },
      {
        ...well,
        Ready: 'False Stalled',
        Stalled: 'True SecretUnusable',
        CertificatesValid: 'False SecretUnusable',
      },
    ],
    [
      'two instances share a node',
      (world) => {
        const pod = world.pods.get('orders-2');
        if (pod) world.pods.set('orders-2', { ...pod, node: 'n1' });
      },
      { ...well, Degraded: 'True SharedNode' },
    ],
    [
      'the spec has changed',
      (world) => respec(world, { resources: { limits: { memory: '1Gi' } } }),
      { ...well, Ready: 'False Progressing', Reconciling: 'True ReplacingInstances' },
    ],
    [
      'the spec asks for more',
      (world) => respec(world, { instances: 4 }),
      {
        ...well,
        Ready: 'False Progressing',
        Reconciling: 'True CreatingInstances',
        Degraded: 'True InstancesMissing',
      },
    ],
    [
      'the spec asks for less',
      (world) => respec(world, { instances: 2 }),
      { ...well, Ready: 'False Progressing', Reconciling: 'True RemovingInstances' },
    ],
    ['paused', (world) => respec(world, { paused: true }), { ...well, Reconciling: 'False Paused' }],
    [
      'no image for the version of the data',
      (world) => (world.cluster = { ...world.cluster, status: { ...world.cluster.status, version: '17' } }),
      { ...well, Ready: 'False Stalled', Reconciling: 'True CreatingInstances', Stalled: 'True ImageUnavailable' },
    ],
  ])('%s', (_, change, expected) => {
    const world = atRest();
    change(world);
    const status = statusFor(factsOf(world));
    expect(brief(status)).toEqual(expected);
    for (const { observedGeneration, message } of status.conditions ?? []) {
      expect(observedGeneration).toBe(world.cluster.metadata.generation);
      expect(message).not.toBe('');
    }
  });

  test('a Pod that no node takes stalls after a while, not at once', () => {
    const world = atRest();
    const pod = world.pods.get('orders-2');
    if (!pod) throw new Error('no Pod');
    const unschedulable = { since: world.now, message: '0/3 nodes are available.' };
    world.pods.set('orders-2', { ...pod, ready: false, running: false, unschedulable });
    expect(condition(statusFor(factsOf(world)), 'Stalled')?.status).toBe('False');
    world.now += 61_000;
    expect(condition(statusFor(factsOf(world)), 'Stalled')).toMatchObject({
      status: 'True',
      reason: 'PodsUnschedulable',
      message: expect.stringContaining('orders-2'),
    });
  });

  test('a blocked election names the silent members and their nodes', () => {
    const world = atRest();
    for (const instance of ['orders-1', 'orders-3']) silence(world, instance);
    world.runtime = { ...world.runtime, leader: undefined };
    const explanation = { summary: 'Blocked: bring orders-1 back.', ifLost: new Map() };
    world.runtime = { ...world.runtime, explanation };
    const message = condition(statusFor(factsOf(world)), 'Available')?.message;
    expect(message).toContain('Blocked: bring orders-1 back.');
    expect(message).toContain('orders-1 (node n1)');
    expect(message).toContain('orders-3 (node n3)');
  });

  test('volumes lost while etcd remembers data', () => {
    const world = atRest();
    world.volumes.clear();
    world.pods.clear();
    expect(condition(statusFor(factsOf(world)), 'Stalled')?.reason).toBe('DataLost');
  });

  test('a name that is taken', () => {
    const world = newWorld(sampleCluster());
    const foreign = { uid: 'x', resourceVersion: '1', ours: false, intent: undefined, owners: [], deleting: false };
    world.objects.set('Secret/orders-app', foreign);
    expect(condition(statusFor(factsOf(world)), 'Stalled')).toMatchObject({
      reason: 'NameConflict',
      message: expect.stringContaining('Secret orders-app'),
    });
  });
});

test('transition times change with the status only', () => {
  const world = atRest();
  const before = world.cluster.status;
  world.now += 3_600_000;
  expect(statusChange(before, statusFor(factsOf(world)))).toBe('none');
  world.runtime = { ...world.runtime, leader: undefined };
  const after = statusFor(factsOf(world));
  expect(condition(after, 'Available')?.lastTransitionTime).toBe('2026-11-21T09:00:00Z');
  expect(condition(after, 'Stalled')?.lastTransitionTime).toBe(condition(before, 'Stalled')?.lastTransitionTime);
});

test('positions alone are no news, and lag is counted in bytes', () => {
  const world = atRest();
  const before = world.cluster.status;
  const members = new Map(world.runtime.members);
  members.set('orders-1', member('orders-1', true, 1, { position: { epoch: 1, lsn: '1/0' } }));
  members.set('orders-2', member('orders-2', false, 1, { position: { epoch: 1, lsn: '0/FFFFFF00' } }));
  world.runtime = { ...world.runtime, members };
  const after = statusFor(factsOf(world));
  expect(statusChange(before, after)).toBe('positions-only');
  expect(after.instancesStatus?.map((instance) => instance.lagBytes)).toEqual([undefined, 256, 4211081120]);
  expect(after.lag).toBe('3.9 GiB');
});

test('what wide columns show: where clients go, and where instances are', () => {
  const { endpoint, nodes, lag } = atRest().cluster.status;
  expect(endpoint).toBe('orders-rw.shop.svc:5432');
  expect(nodes?.split(',').length).toBe(new Set(nodes?.split(',')).size);
  expect(lag).toBe('0 B');
});

test('how far a clone has come is shown, and no news by itself', () => {
  const world = atRest();
  const shown = (doneBytes: number): ReturnType<typeof statusFor> => {
    const cloning = {
      ...member('orders-3', false, 1),
      state: 'cloning',
      copy: { doneBytes, totalBytes: 900 },
    } as const;
    world.runtime = { ...world.runtime, members: new Map(world.runtime.members).set('orders-3', cloning) };
    return statusFor(factsOf(world));
  };
  const before = shown(90);
  expect(before.instancesStatus?.[2]).toMatchObject({ state: 'cloning', copy: { doneBytes: 90, totalBytes: 900 } });
  expect(statusChange(before, shown(180))).toBe('positions-only');
});

test('the tail that was cut off a former primary’s log is told', () => {
  const world = atRest();
  const cutTail = { transactions: 2, gtids: 'x:7-8', at: '2026-11-21T09:00:00Z', file: '/quarantine/one' };
  const back = { ...member('orders-3', false, 1), cutTail };
  world.runtime = { ...world.runtime, members: new Map(world.runtime.members).set('orders-3', back) };
  const status = statusFor(factsOf(world));
  expect(status.instancesStatus?.map((one) => one.cutTail)).toEqual([undefined, undefined, cutTail]);
});

test('what people see of each instance', () => {
  const world = atRest();
  expect(world.cluster.status).toMatchObject({
    observedGeneration: 4,
    ready: '3/3',
    primary: 'orders-1',
    epoch: 1,
    selector: 'mainstay.dev/cluster=orders',
    durability: { mode: 'Strict', acknowledgements: 1 },
    sync: { members: ['orders-2', 'orders-3'], acknowledgements: 1 },
    lastFailover: { epoch: 1, winner: 'orders-1', reason: 'Bootstrap' },
  });
  expect(world.cluster.status.instancesStatus?.[1]).toEqual({
    name: 'orders-2',
    role: 'replica',
    state: 'streaming',
    node: 'n2',
    address: '10.0.0.1',
    position: '1:0/5000060',
    lagBytes: 0,
    sync: true,
  });
});

const forced = (world: World): void => {
  const epoch = world.runtime.epoch + 1;
  const entry = {
    epoch,
    winner: 'orders-2',
    reason: 'Forced',
    forced: { request: 'r1', reason: 'disks of zone a are gone', missing: ['orders-3', 'orders-1'] },
    at: '2026-11-21T09:00:00Z',
  };
  world.runtime = {
    ...world.runtime,
    epoch,
    leader: { instance: 'orders-2', incarnation: 'orders-2', epoch, lease: '1' },
    history: [...world.runtime.history, entry],
  };
};
const answer = (outcome: 'done' | 'refused') => (world: World) => {
  const reason = 'orders-3 is not in the sync set.';
  const given = { id: 'r1', instance: 'orders-1', outcome, reason, at: '2026-11-21T09:00:00Z' };
  world.runtime = { ...world.runtime, answer: given };
};

describe('a forced failover', () => {
  const claim = (world: World, winner: string, reason: string): void => {
    const epoch = world.runtime.epoch + 1;
    const { history } = world.runtime;
    world.runtime = {
      ...world.runtime,
      epoch,
      history: [...history, { epoch, winner, reason, at: '2026-11-21T10:00:00Z' }],
    };
  };

  test('is said until another instance becomes primary; the record stays', () => {
    const world = atRest();
    forced(world);
    const status = writeStatus(world);
    expect(brief(status)['LossAccepted']).toBe('True ForcedFailover');
    const { message } = condition(status, 'LossAccepted') ?? {};
    for (const text of ['orders-2', 'orders-1, orders-3', 'disks of zone a are gone']) expect(message).toContain(text);
    claim(world, 'orders-2', 'PrimaryAlive');
    expect(brief(writeStatus(world))['LossAccepted']).toBe('True ForcedFailover');
    claim(world, 'orders-1', 'Switchover');
    const later = writeStatus(world);
    expect(brief(later)['LossAccepted']).toBe('False NotForced');
    expect(later.lastForcedFailover).toEqual({
      epoch: 2,
      winner: 'orders-2',
      missing: ['orders-1', 'orders-3'],
      reason: 'disks of zone a are gone',
      at: '2026-11-21T09:00:00Z',
    });
  });
});

test('the answer to a request is shown, and stays while etcd is silent', () => {
  const world = atRest();
  answer('refused')(world);
  const shown = {
    id: 'r1',
    outcome: 'Refused',
    reason: 'orders-3 is not in the sync set.',
    instance: 'orders-1',
    at: '2026-11-21T09:00:00Z',
  };
  expect(writeStatus(world).lastRequest).toEqual(shown);
  world.etcdAnswers = false;
  expect(writeStatus(world).lastRequest).toEqual(shown);
});

test('what the loss of each instance would mean', () => {
  const world = atRest();
  const ifLost = new Map([
    ['orders-1', { outcome: 'failover', successor: 'orders-3' } as const],
    ['orders-2', { outcome: 'unaffected' } as const],
  ]);
  world.runtime = { ...world.runtime, explanation: { summary: 'orders-1 leads.', ifLost } };
  const told = statusFor(factsOf(world)).instancesStatus?.map((instance) => instance.ifLost);
  expect(told).toEqual(['failover to orders-3', 'service goes on', undefined]);
});

describe('events', () => {
  const reasons = (world: World, change: (world: World) => void): readonly string[] => {
    const before = world.cluster.status;
    change(world);
    return eventsBetween(before, statusFor(factsOf(world)), world.cluster.spec.instances).map((event) => event.reason);
  };
  const lead = (instance: string, reason: string) => (world: World) => {
    const epoch = world.runtime.epoch + 1;
    world.runtime = {
      ...world.runtime,
      epoch,
      leader: { instance, incarnation: instance, epoch, lease: '1' },
      members: new Map([...world.runtime.members.keys()].map((name) => [name, member(name, name === instance, epoch)])),
      history: [...world.runtime.history, { epoch, winner: instance, reason, at: '2026-11-21T08:00:00Z' }],
    };
  };

  test.each<[string, (world: World) => void, readonly string[]]>([
    ['nothing', () => undefined, []],
    ['a failover', lead('orders-2', 'PrimaryUnreachable'), ['FailoverCompleted']],
    ['a switchover', lead('orders-2', 'Switchover'), ['SwitchoverCompleted']],
    ['a false alarm', lead('orders-1', 'PrimaryAlive'), []],
    ['no leader', (world) => void (world.runtime = { ...world.runtime, leader: undefined }), []],
    ['a lost Pod', (world) => void world.pods.delete('orders-3'), ['RedundancyReduced']],
    [
      'a Pod being replaced',
      (world) => {
        respec(world, { resources: { limits: { memory: '1Gi' } } });
        world.pods.delete('orders-3');
      },
      [],
    ],
    ['etcd silent', (world) => void (world.etcdAnswers = false), []],
    ['a forced failover', forced, ['FailoverForced']],
    ['a refusal', answer('refused'), ['RequestRefused']],
    ['a request carried out', answer('done'), ['RequestDone']],
  ])('%s', (_, change, expected) => {
    expect(reasons(atRest(), change)).toEqual(expected);
  });

  test('what was asked for and forced is told of once, and not of an earlier life', () => {
    const world = atRest();
    forced(world);
    answer('refused')(world);
    writeStatus(world);
    world.etcdAnswers = false;
    writeStatus(world);
    world.etcdAnswers = true;
    expect(reasons(world, () => undefined)).toEqual([]);
    const { runtime } = world;
    const reborn = newWorld(sampleCluster());
    const told = reasons(reborn, () => void (reborn.runtime = runtime));
    expect(told.filter((reason) => ['FailoverForced', 'RequestRefused'].includes(reason))).toEqual([]);
  });

  test('a new cluster: the first primary, and no recovery from what never was', () => {
    const world = newWorld(sampleCluster());
    const seen: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const before = world.cluster.status;
      const after = writeStatus(world);
      seen.push(...eventsBetween(before, after, 3).map((event) => event.reason));
      for (const action of decide(factsOf(world))) carryOut(world, action);
      settle(world);
      world.now += 1_000;
    }
    expect(seen).toEqual(['PrimaryElected']);
  });

  test('a single instance is warned of once', () => {
    const world = newWorld(sampleCluster({ instances: 1 }));
    expect(reasons(world, () => undefined)).toContain('SingleInstanceNotProtected');
    writeStatus(world);
    expect(reasons(world, () => undefined)).not.toContain('SingleInstanceNotProtected');
  });
});

test('a spec that can’t be read stalls, and the rest of the status stays', () => {
  const stored = {
    kind: 'PostgresCluster' as const,
    metadata: { namespace: 'shop', name: 'orders', generation: 7 },
    status: { observedGeneration: 6, primary: 'orders-1', conditions: [] },
  };
  const { before, after } = invalidSpecStatus(stored, 'spec.x: no', new Date(0));
  expect(statusChange(before, after)).toBe('worth-telling');
  expect(after).toMatchObject({ observedGeneration: 7, primary: 'orders-1' });
  expect(brief(after)).toEqual({ Ready: 'False Stalled', Stalled: 'True SpecInvalid' });
});

test('a status patch says what changed, what is gone, and an empty list as an empty list', () => {
  const before = { a: 1, b: { c: [1], d: 2, e: 3 }, f: 'x', g: [1] };
  expect(statusPatch(before, { a: 1, b: { c: [], d: 2 }, g: [2], h: {} })).toEqual({
    b: { c: [], e: null },
    g: [2],
    h: {},
    f: null,
  });
  expect(statusPatch(before, before)).toEqual({});
});

test('a missing primary is told of once, after a while, and its return too', () => {
  const world = atRest();
  const notices = outageNotices();
  const look = () => {
    const { notices: told, lookAgainInMs } = notices.judge('shop/orders', writeStatus(world), world.now);
    return [...told.map((event) => event.reason), lookAgainInMs];
  };
  expect(look()).toEqual([undefined]);
  const { leader } = world.runtime;
  world.runtime = { ...world.runtime, leader: undefined };
  expect(look()).toEqual([5_000]);
  world.now += 5_000;
  expect(look()).toEqual(['PrimaryLost', undefined]);
  world.now += 5_000;
  expect(look()).toEqual([undefined]);
  world.runtime = { ...world.runtime, leader };
  expect(look()).toEqual(['PrimaryAvailable', undefined]);
  expect(look()).toEqual([undefined]);
});
