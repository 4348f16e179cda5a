import { expect, test } from '@jest/globals';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import type { Action } from './actions.ts';
import { eventsBetween } from './cluster-events.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { outageNotices } from './outage-notices.ts';
import { statusFor } from './status.ts';

/** Until nothing is left to do; each round's actions. */
function converge(world: World): readonly Action[] {
  const done: Action[] = [];
  for (let round = 0; round < 50; round += 1) {
    const actions = decide(factsOf(world));
    if (actions.length === 0) return done;
    for (const action of actions) carryOut(world, action);
    done.push(...actions);
    settle(world);
    world.cluster = { ...world.cluster, status: statusFor(factsOf(world)) };
  }
  throw new Error('no end in sight');
}
const removed = (actions: readonly Action[]) =>
  actions.flatMap((action) => (action.type === 'delete-pod' ? [action.instance] : []));
const condition = (world: World, type: string) =>
  statusFor(factsOf(world)).conditions?.find((one) => one.type === type);

function running(): World {
  const world = newWorld(sampleCluster());
  converge(world);
  return world;
}

test('Pods go one at a time, the primary last; volumes, Secrets and the state in etcd stay', () => {
  const world = running();
  world.runtime = { ...world.runtime, leader: { instance: 'orders-2', incarnation: 'orders-2', epoch: 1, lease: '1' } };
  const volumes = new Set(world.volumes.keys());
  const objects = new Set(world.objects.keys());
  respec(world, { hibernated: true });
  const done = converge(world);
  expect(removed(done)).toEqual(['orders-3', 'orders-1', 'orders-2']);
  expect(done.every(({ type }) => type !== 'delete-volume' && type !== 'delete-state')).toBe(true);
  expect(world.pods.size).toBe(0);
  expect(new Set(world.volumes.keys())).toEqual(volumes);
  expect(new Set(world.objects.keys())).toEqual(objects);
  expect(world.runtime.initialized).toBe(true);
});

test('asleep is what was asked for: Ready, not Available, not Degraded, and no alarm', () => {
  const world = running();
  const before = statusFor(factsOf(world));
  respec(world, { hibernated: true });
  expect(condition(world, 'Reconciling')).toMatchObject({ status: 'True', reason: 'Hibernating' });
  converge(world);
  const after = statusFor(factsOf(world));
  expect(condition(world, 'Ready')).toMatchObject({ status: 'True', reason: 'Hibernated' });
  expect(condition(world, 'Available')).toMatchObject({ status: 'False', reason: 'Hibernated' });
  expect(condition(world, 'Degraded')).toMatchObject({ status: 'False', reason: 'Hibernated' });
  expect(after.summary).toBe('Hibernated');
  expect(eventsBetween(before, after, 3).map(({ reason }) => reason)).toEqual(['ClusterHibernated']);
  const notices = outageNotices();
  notices.judge('a/b', before, world.now);
  expect(notices.judge('a/b', after, world.now + 600_000).notices).toEqual([]);
});

test('awake again, it goes on with its data', () => {
  const world = running();
  respec(world, { hibernated: true });
  converge(world);
  const before = statusFor(factsOf(world));
  respec(world, { hibernated: false });
  const done = converge(world);
  expect(done.filter(({ type }) => type === 'create-pod')).toHaveLength(3);
  expect(done.every(({ type }) => type !== 'apply-volume' && type !== 'delete-pod')).toBe(true);
  expect(condition(world, 'Ready')).toMatchObject({ status: 'True', reason: 'Converged' });
  const told = eventsBetween(before, statusFor(factsOf(world)), 3).map(({ reason }) => reason);
  expect(told).toContain('ClusterResumed');
});

test('nobody is stopped while etcd does not say who leads', () => {
  const world = running();
  respec(world, { hibernated: true });
  world.etcdAnswers = false;
  expect(removed(decide(factsOf(world)))).toEqual([]);
});

test('a cluster made asleep gets no volumes and no Pods', () => {
  const world = newWorld(sampleCluster({ hibernated: true }));
  converge(world);
  expect([world.pods.size, world.volumes.size]).toEqual([0, 0]);
});
