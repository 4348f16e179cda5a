import { expect, test } from '@jest/globals';
import type { Member } from '../../api/cluster-state.ts';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, settle, type World } from './modelled-world.ts';
import { absencePatienceMs, nextRestart, restartPauseMs } from './pending-restart.ts';
import { statusFor } from './status.ts';

function converged(spec: Record<string, unknown> = {}): World {
  const world = newWorld(sampleCluster(spec));
  for (let round = 0; round < 20; round += 1) {
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
  }
  return world;
}

function change(world: World, instance: string, over: Partial<Member>): void {
  const member = world.runtime.members.get(instance);
  if (member)
    world.runtime = { ...world.runtime, members: new Map(world.runtime.members).set(instance, { ...member, ...over }) };
}
const pend = (world: World, ...instances: readonly string[]): void => {
  for (const instance of instances) change(world, instance, { pendingRestart: ['shared_buffers'] });
};
const all = ['orders-1', 'orders-2', 'orders-3'] as const;
const condition = (world: World) => statusFor(factsOf(world)).conditions?.find(({ type }) => type === 'PendingRestart');

/** Carries out one restart or switchover at a time; what it was done to waits for nothing any more. */
function roll(world: World, instances: readonly string[]): readonly string[] {
  const waiting = new Set(instances);
  const done: string[] = [];
  for (let round = 0; round < 10 && waiting.size > 0; round += 1) {
    settle(world);
    pend(world, ...waiting);
    for (const action of decide(factsOf(world))) {
      if (action.type === 'request-restart') {
        waiting.delete(action.instance);
        done.push(`${action.instance} restarts for ${action.reason}`);
      } else if (action.type === 'request-switchover') {
        waiting.delete(action.from);
        done.push(`${action.from} hands over (${action.reason})`);
      }
      carryOut(world, action);
    }
  }
  return done;
}

test('one at a time, replicas first, then the primary by a switchover', () => {
  expect(roll(converged(), all)).toEqual([
    'orders-3 restarts for shared_buffers',
    'orders-2 restarts for shared_buffers',
    'orders-1 hands over (PendingRestart)',
  ]);
});

test('a single instance, and a primary whom replicas must not go below, restart in place', () => {
  expect(roll(converged({ instances: 1 }), ['orders-1'])).toEqual(['orders-1 restarts for shared_buffers']);
  const world = converged();
  pend(world, 'orders-1');
  change(world, 'orders-1', { restartInPlace: true });
  expect(nextRestart(factsOf(world))).toEqual({ verdict: 'restart', instance: 'orders-1' });
});

test.each<[string, (world: World) => void, RegExp]>([
  ['an instance does not follow', (world) => change(world, 'orders-2', { state: 'starting' }), /orders-2 must follow/],
  [
    'one has not come back to the sync set',
    (world) => {
      const { sync } = world.runtime;
      if (sync) world.runtime = { ...world.runtime, sync: { ...sync, members: sync.members.slice(1) } };
    },
    /orders-2 must follow in the sync set/,
  ],
  [
    'one has not been given the settings yet',
    (world) => change(world, 'orders-2', { generation: 0 }),
    /orders-2 must follow/,
  ],
  [
    'a restart is under way',
    (world) => {
      const request = { id: 'x', reason: 'test', deadline: '2100-01-01T00:00:00Z', modRevision: 1 };
      world.runtime = { ...world.runtime, restarts: new Map([['orders-2', request]]) };
    },
    /orders-2 is being restarted/,
  ],
  [
    'it was restarted a moment ago',
    (world) => {
      const at = new Date(world.now - restartPauseMs / 2).toISOString();
      const answer = { id: 'parameters-orders-3-1', instance: 'orders-3', outcome: 'done', reason: '', at } as const;
      world.runtime = { ...world.runtime, answer };
    },
    /orders-3 was restarted a moment ago/,
  ],
])('waits while %s, and says so', (_, happen, why) => {
  const world = converged();
  pend(world, ...all);
  happen(world);
  expect(decide(factsOf(world))).toEqual([]);
  expect(condition(world)).toMatchObject({ status: 'True', reason: 'Waiting' });
  expect(condition(world)?.message).toMatch(why);
});

test('an instance that stays away holds nothing back for long', () => {
  const world = converged();
  world.sick.add('orders-3');
  settle(world);
  pend(world, 'orders-1', 'orders-2');
  world.cluster = { ...world.cluster, status: statusFor(factsOf(world)) };
  expect(nextRestart(factsOf(world))).toMatchObject({ verdict: 'wait' });
  world.now += absencePatienceMs;
  expect(nextRestart(factsOf(world))).toEqual({ verdict: 'restart', instance: 'orders-2' });
});

test('people see what waits, and where', () => {
  const world = converged();
  expect(condition(world)).toMatchObject({ status: 'False', reason: 'NothingPending' });
  pend(world, 'orders-2');
  expect(condition(world)).toMatchObject({ status: 'True', reason: 'Restarting' });
  expect(condition(world)?.message).toContain('orders-2 (shared_buffers)');
  expect(statusFor(factsOf(world)).instancesStatus?.[1]).toMatchObject({ pendingRestart: ['shared_buffers'] });
});
