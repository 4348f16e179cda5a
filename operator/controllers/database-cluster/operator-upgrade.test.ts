import { expect, test } from '@jest/globals';
import { sampleCluster, sampleInstallation } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { statusFor } from './status.ts';

const newer = {
  ...sampleInstallation,
  mainstayImage: 'mainstay.dev/mainstay:2',
  postgresImages: { '18': 'postgres:18.9' },
};

/** Until nothing is left to do; the Pods that were deleted. */
function converge(world: World, installation: Facts['installation'] = sampleInstallation): readonly string[] {
  const removed: string[] = [];
  for (let round = 0; round < 50; round += 1) {
    const actions = decide({ ...factsOf(world), installation });
    if (actions.length === 0) return removed;
    for (const action of actions) {
      carryOut(world, action);
      if (action.type === 'delete-pod') removed.push(action.instance);
    }
    settle(world);
  }
  throw new Error('no end in sight');
}

function running(spec: Record<string, unknown> = {}): World {
  const world = newWorld(sampleCluster(spec));
  converge(world);
  return world;
}

test('another operator leaves running instances alone, and says which are of an earlier one', () => {
  const world = running();
  expect(converge(world, newer)).toEqual([]);
  const status = statusFor({ ...factsOf(world), installation: newer });
  expect(status.earlierPods).toEqual(['orders-1', 'orders-2', 'orders-3']);
  expect(status.conditions?.find(({ type }) => type === 'Reconciling')?.status).toBe('False');
});

test('where it is wished for, they are replaced one at a time, the primary last', () => {
  const world = running({ operatorUpgrades: 'ReplacePods' });
  expect(converge(world, newer)).toEqual(['orders-3', 'orders-2', 'orders-1']);
  expect(statusFor({ ...factsOf(world), installation: newer }).earlierPods).toBeUndefined();
});

test('a change of the spec replaces them afterwards as ever', () => {
  const world = running();
  converge(world, newer);
  respec(world, { instances: 3, logLevel: 'debug' });
  expect(converge(world, newer)).toEqual([]);
  respec(world, { resources: { limits: { memory: '2Gi' } } });
  expect(converge(world, newer)).toHaveLength(3);
});

test('an instance that does not run is made as the new operator would', () => {
  const world = running();
  const pod = world.pods.get('orders-3');
  if (pod) world.pods.set('orders-3', { ...pod, running: false, ready: false });
  const [first] = decide({ ...factsOf(world), installation: newer }).filter(({ type }) => type === 'delete-pod');
  expect(first).toMatchObject({ instance: 'orders-3', why: 'outdated' });
});
