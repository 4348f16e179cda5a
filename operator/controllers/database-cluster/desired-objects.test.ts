import { expect, test } from '@jest/globals';
import { sampleCluster, sampleInstallation } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { carryOut, factsOf, newWorld, settle, type World } from './modelled-world.ts';

function withCredentials(world: World, files: Record<string, string>): Facts {
  return { ...factsOf(world), installation: { ...sampleInstallation, etcdCredentials: files } };
}
const names = (facts: Facts): readonly string[] =>
  decide(facts).map((action) => ('desired' in action ? `${action.desired.kind}/${action.desired.name}` : action.type));

test('credentials of etcd are copied before the Pods that mount them, and again when they are renewed', () => {
  const world = newWorld(sampleCluster());
  const first = names(withCredentials(world, { password: 'one' }));
  expect(first).toContain('Secret/orders-etcd');
  for (let round = 0; round < 20; round += 1) {
    for (const action of decide(withCredentials(world, { password: 'one' }))) carryOut(world, action);
    settle(world);
  }
  expect(names(withCredentials(world, { password: 'one' }))).toEqual([]);
  expect(names(withCredentials(world, { password: 'two' }))).toEqual(['Secret/orders-etcd']);
});

test('without credentials there is no such Secret', () => {
  expect(names(factsOf(newWorld(sampleCluster())))).not.toContain('Secret/orders-etcd');
});
