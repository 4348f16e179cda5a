import { expect, test } from '@jest/globals';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { statusFor } from './status.ts';

function converge(world: World): readonly string[] {
  const done: string[] = [];
  for (let round = 0; round < 50; round += 1) {
    const actions = decide(factsOf(world));
    if (actions.length === 0) return done;
    for (const action of actions) {
      carryOut(world, action);
      done.push(action.type === 'apply-volume' ? `${action.what} ${action.instance}` : action.type);
    }
    settle(world);
  }
  throw new Error('no end in sight');
}
const condition = (world: World, type: string) =>
  statusFor(factsOf(world)).conditions?.find((one) => one.type === type);

test('volumes grow in place, all of them, and no Pod is touched', () => {
  const world = newWorld(sampleCluster());
  converge(world);
  world.growable = new Map([['local', true]]);
  respec(world, { storage: { size: '2Gi' } });
  expect(condition(world, 'Reconciling')).toMatchObject({ status: 'True', reason: 'ResizingVolumes' });
  const done = converge(world);
  expect(done.filter((what) => !what.startsWith('publish'))).toEqual([
    'resize orders-1',
    'resize orders-2',
    'resize orders-3',
  ]);
  expect(statusFor(factsOf(world)).volumes).toEqual({ data: '2Gi' });
});

test('a class that can’t: nothing is tried, it is said, and the old size heals it', () => {
  const world = newWorld(sampleCluster());
  converge(world);
  world.growable = new Map([['local', false]]);
  respec(world, { storage: { size: '2Gi' } });
  expect(converge(world).filter((what) => what.startsWith('resize'))).toEqual([]);
  expect(condition(world, 'Stalled')).toMatchObject({
    status: 'True',
    reason: 'VolumeNotExpandable',
    message: expect.stringMatching(/orders-1 has 1Gi and can’t grow to 2Gi: storage class local/) as unknown,
  });
  expect(statusFor(factsOf(world)).volumes).toEqual({ data: '1Gi' });
  respec(world, { storage: { size: '1Gi' } });
  world.growable = new Map();
  converge(world);
  expect(condition(world, 'Ready')).toMatchObject({ status: 'True' });
});

test('a class that nobody can read is tried', () => {
  const world = newWorld(sampleCluster());
  converge(world);
  respec(world, { storage: { size: '2Gi' } });
  expect(converge(world)).toContain('resize orders-1');
});
