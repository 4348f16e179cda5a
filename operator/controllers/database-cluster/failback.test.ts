import { describe, expect, test } from '@jest/globals';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import { failbackAfterMs, failbackPauseMs, judgeFailback } from './failback.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { recheckInMs } from './recheck.ts';
import { statusFor } from './status.ts';

const preferred = [{ ordinal: 1, priority: 10 }];

/** orders-2 leads after a failover an hour ago, orders-1 is preferred and has followed for an hour. */
function afterFailover(failover: Record<string, unknown>, change: (world: World) => void = () => undefined): World {
  const world = newWorld(sampleCluster({ failover: { failback: 'Automatic', ...failover } }));
  ['a', 'b', 'c'].forEach((zone, index) =>
    world.nodes.set(`n${index + 1}`, { ready: true, draining: false, outOfService: false, zone }),
  );
  const converge = (): void => {
    for (let round = 0; round < 10; round += 1) {
      world.cluster = { ...world.cluster, status: statusFor(factsOf(world)) };
      for (const action of decide(factsOf(world))) carryOut(world, action);
      settle(world);
    }
  };
  converge();
  const pod = world.pods.get('orders-1');
  if (pod) world.pods.set('orders-1', { ...pod, ready: false });
  world.sick.add('orders-1');
  settle(world);
  world.sick.clear();
  world.runtime = leads(world, 'orders-2');
  converge();
  world.now += 3_600_000;
  world.inSyncForMs = new Map([
    ['orders-1', 3_600_000],
    ['orders-3', 3_600_000],
  ]);
  change(world);
  return world;
}

function leads({ runtime }: World, instance: string) {
  if (runtime.leader?.instance !== instance) throw new Error(`${runtime.leader?.instance ?? 'nobody'} leads`);
  return runtime;
}

const force = (world: World, epoch: number): void => {
  const { history } = world.runtime;
  world.runtime = {
    ...world.runtime,
    history: [
      ...history,
      {
        epoch,
        winner: 'orders-2',
        reason: 'Forced',
        forced: { request: 'r', reason: 'disk lost', missing: ['orders-1'] },
        at: '2026-11-21T08:00:00Z',
      },
    ],
  };
};

describe('a preferred replica', () => {
  const asks = [{ type: 'request-switchover', from: 'orders-2', to: 'orders-1', reason: 'Failback' }];

  test.each<[string, Record<string, unknown>, (world: World) => void, readonly object[]]>([
    ['takes its place back', { instances: preferred }, () => undefined, asks],
    ['of the zone too', { preferredZone: 'a' }, () => undefined, asks],
    [
      'of the zone, whatever the priority of others',
      { preferredZone: 'a', instances: [{ ordinal: 2, priority: 100 }] },
      () => undefined,
      asks,
    ],
    [
      'that has followed for an hour, but not long in the sync set',
      { instances: preferred },
      (world) => (world.inSyncForMs = new Map([['orders-1', failbackAfterMs - 1]])),
      [],
    ],
    ['with failback Never', { failback: 'Never', instances: preferred }, () => undefined, []],
    ['that is not preferred', {}, () => undefined, []],
    ['of equal priority', { instances: [...preferred, { ordinal: 2, priority: 10 }] }, () => undefined, []],
    ['that may not lead', { instances: [{ ordinal: 1, priority: 10, noFailover: true }] }, () => undefined, []],
    [
      'that is the best of those who may lead, where the primary may not',
      { instances: [{ ordinal: 2, priority: 10, noFailover: true }, ...preferred] },
      () => undefined,
      asks,
    ],
    [
      'while another instance is missing',
      { instances: preferred },
      (world) => {
        const pod = world.pods.get('orders-3');
        if (pod) world.pods.set('orders-3', { ...pod, ready: false });
      },
      [],
    ],
    [
      'outside the sync set',
      { instances: preferred },
      (world) => {
        const { sync } = world.runtime;
        const members = sync?.members.filter((voter) => voter.instance !== 'orders-1') ?? [];
        world.runtime = { ...world.runtime, sync: sync && { ...sync, members } };
      },
      [],
    ],
    [
      'on a node that is being drained',
      { instances: preferred },
      (world) => world.nodes.set('n1', { ready: true, draining: true, outOfService: false, zone: 'a' }),
      [],
    ],
    [
      'soon after another request',
      { instances: preferred },
      (world) => (world.sinceSwitchoverRequestMs = failbackPauseMs - 1),
      [],
    ],
    [
      'soon after a switchover that another operator asked for',
      { instances: preferred },
      (world) => {
        const at = new Date(world.now - failbackPauseMs + 1).toISOString();
        const entry = { epoch: 3, winner: 'orders-2', reason: 'Switchover', at };
        world.runtime = { ...world.runtime, history: [...world.runtime.history, entry] };
      },
      [],
    ],
    ['of a primary that was forced', { instances: preferred }, (world) => force(world, 2), []],
    [
      'that a new spec no longer prefers, before the agents know',
      { instances: preferred },
      (world) => respec(world, { failover: { failback: 'Automatic', instances: [{ ordinal: 2, priority: 50 }] } }),
      [],
    ],
    ['while etcd is silent', { instances: preferred }, (world) => (world.etcdAnswers = false), []],
    ['of a paused cluster', { instances: preferred }, (world) => respec(world, { paused: true }), []],
  ])('%s', (_, failover, change, expected) => {
    const world = afterFailover(failover, change);
    expect(decide(factsOf(world)).filter(({ type }) => type === 'request-switchover')).toEqual(expected);
  });

  test('is looked at again when its time has come', () => {
    const world = afterFailover({ instances: preferred });
    world.inSyncForMs = new Map([['orders-1', failbackAfterMs - 7_000]]);
    expect(judgeFailback(factsOf(world))).toEqual({ verdict: 'wait', milliseconds: 7_000 });
    expect(recheckInMs(factsOf(world))).toBe(7_100);
  });

  test('does not take its place back twice within half an hour', () => {
    const world = afterFailover({ instances: preferred });
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
    expect(world.runtime.leader?.instance).toBe('orders-1');
    world.runtime = { ...world.runtime, switchover: { ...requestTo('orders-2'), deadline: '' } };
    settle(world);
    leads(world, 'orders-2');
    world.inSyncForMs = new Map([['orders-1', 3_600_000]]);
    world.now += failbackPauseMs - 1;
    expect(decide(factsOf(world))).toEqual([]);
    world.now += 1;
    expect(decide(factsOf(world))).toEqual(asks);
  });
});

const requestTo = (to: string) => ({ id: 'x', from: 'orders-1', to, reason: 'test', modRevision: 1 });
