import { expect, test } from '@jest/globals';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { eventsBetween } from './cluster-events.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, settle, type World } from './modelled-world.ts';
import { recheckInMs } from './recheck.ts';
import { statusFor } from './status.ts';
import { withheldAfterMs, withheldForMs } from './withheld-budget.ts';

/** One round of the operator; the events it tells. */
function round(world: World): readonly string[] {
  const facts = factsOf(world);
  for (const action of decide(facts)) carryOut(world, action);
  const before = world.cluster.status;
  world.cluster = { ...world.cluster, status: statusFor(facts) };
  return eventsBetween(before, world.cluster.status, 3).map(({ reason }) => reason);
}

function converged(): World {
  const world = newWorld(sampleCluster());
  for (let i = 0; i < 12; i += 1) {
    round(world);
    settle(world);
  }
  return world;
}

/** What the budget would be made with now; undefined if nothing is to be changed. */
function budget(world: World): unknown {
  for (const action of decide(factsOf(world)))
    if (action.type === 'apply' && action.desired.kind === 'PodDisruptionBudget')
      return (action.desired.object as { readonly spec: { readonly maxUnavailable: number } }).spec.maxUnavailable;
  return undefined;
}

function shortenSyncSet(world: World): void {
  const { sync } = world.runtime;
  if (sync) world.runtime = { ...world.runtime, sync: { ...sync, members: sync.members.slice(0, 1) } };
}

const state = (world: World, instance: string, change: object): void => {
  const member = world.runtime.members.get(instance);
  if (member)
    world.runtime = {
      ...world.runtime,
      members: new Map(world.runtime.members).set(instance, { ...member, ...change }),
    };
};

test('all is well: one may go, and the status says nothing', () => {
  const world = converged();
  expect(budget(world)).toBeUndefined();
  expect(world.cluster.status.disruption).toBeUndefined();
});

test('a replica that is ready and not yet in the sync set: nobody may go until it is', () => {
  const world = converged();
  const whole = world.runtime;
  shortenSyncSet(world);
  expect(round(world)).not.toContain('DisruptionWithheld');
  expect(budget(world)).toBeUndefined();
  expect(recheckInMs(factsOf(world))).toBeLessThanOrEqual(withheldAfterMs);
  world.now += withheldAfterMs;
  expect(budget(world)).toBe(0);
  expect(round(world)).toContain('DisruptionWithheld');
  expect(world.cluster.status.disruption).toMatchObject({ allowed: 0, reason: 'SyncSetShort' });
  expect(round(world)).not.toContain('DisruptionWithheld');
  expect(budget(world)).toBeUndefined();
  world.runtime = whole;
  expect(budget(world)).toBe(1);
  round(world);
  expect(world.cluster.status.disruption).toBeUndefined();
});

test('nobody could take over: nobody may go, for a limited time, and then the alarm is told once', () => {
  const world = converged();
  const primary = world.runtime.leader?.instance;
  for (const name of world.runtime.members.keys()) if (name !== primary) state(world, name, { state: 'starting' });
  round(world);
  world.now += withheldAfterMs;
  round(world);
  expect(world.cluster.status.disruption).toMatchObject({ allowed: 0, reason: 'NoSuccessor' });
  expect(recheckInMs(factsOf(world))).toBeLessThanOrEqual(withheldForMs);
  world.now += withheldForMs - withheldAfterMs - 1;
  expect(budget(world)).toBeUndefined();
  world.now += 1;
  expect(budget(world)).toBe(1);
  expect(round(world)).toContain('DisruptionOverdue');
  world.now += withheldForMs;
  expect(round(world)).not.toContain('DisruptionWithheld');
  expect(budget(world)).toBeUndefined();
});

test('etcd is silent: as it was, and no longer than it was meant to be', () => {
  const world = converged();
  shortenSyncSet(world);
  round(world);
  world.now += withheldAfterMs;
  round(world);
  world.etcdAnswers = false;
  expect(budget(world)).toBeUndefined();
  world.now += withheldForMs;
  expect(budget(world)).toBe(1);
});

test('a Pod that is not ready counts by itself', () => {
  const world = converged();
  shortenSyncSet(world);
  const pod = world.pods.get('orders-3');
  if (pod) world.pods.set('orders-3', { ...pod, ready: false });
  round(world);
  world.now += withheldAfterMs;
  expect(budget(world)).toBeUndefined();
});

test('what is over at once changes nothing', () => {
  const world = converged();
  const whole = world.runtime;
  shortenSyncSet(world);
  round(world);
  world.runtime = whole;
  world.now += withheldAfterMs;
  expect(budget(world)).toBeUndefined();
  expect(round(world)).toEqual([]);
  expect(world.cluster.status.disruption).toBeUndefined();
});
