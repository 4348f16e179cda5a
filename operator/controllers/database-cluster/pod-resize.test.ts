import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { inFull, reasonAgainstResize, type ContainerResources } from '../../resources/pod-resources.ts';
import type { Action } from './actions.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { recheckInMs } from './recheck.ts';
import { statusFor } from './status.ts';

function step(world: World): readonly Action[] {
  const actions = decide(factsOf(world));
  for (const action of actions) carryOut(world, action);
  settle(world);
  return actions;
}

function converge(world: World): readonly Action[] {
  const done: Action[] = [];
  for (let round = 0; round < 60; round += 1) {
    const actions = step(world);
    if (actions.length === 0) return done;
    done.push(...actions);
  }
  throw new Error('no end in sight');
}

const resources = (cpu: string, memory: string) => ({ resources: { requests: { cpu, memory }, limits: { memory } } });

function converged(spec: Record<string, unknown> = resources('500m', '2Gi')): World {
  const world = newWorld(sampleCluster(spec));
  converge(world);
  return world;
}

const story = (actions: readonly Action[]) =>
  actions.flatMap((action): string[] => {
    switch (action.type) {
      case 'delete-pod':
        return [`stop ${action.instance}`];
      case 'resize-pod':
        return [`resize ${action.instance}`];
      case 'publish-definition':
        return [`shared_buffers ${sharedBuffersIn(action.text)}`];
      case 'request-switchover':
        return ['switchover'];
      default:
        return [];
    }
  });
const sharedBuffersIn = (text: string): string =>
  (JSON.parse(text) as { defaults?: Record<string, string> }).defaults?.['shared_buffers'] ?? '';
const condition = (world: World, type: string) =>
  statusFor(factsOf(world)).conditions?.find((one) => one.type === type);

describe('other resources', () => {
  test('are given while the databases run, one at a time, the primary last', () => {
    const world = converged();
    respec(world, resources('1', '2Gi'));
    expect(condition(world, 'Reconciling')).toMatchObject({
      reason: 'ResizingInstances',
      message: 'Resources to be changed while the databases run, one at a time: orders-1, orders-2, orders-3.',
    });
    expect(story(converge(world)).filter((line) => line.startsWith('resize'))).toEqual([
      'resize orders-3',
      'resize orders-2',
      'resize orders-1',
    ]);
    expect(statusFor(factsOf(world)).earlierPods).toBeUndefined();
    expect(condition(world, 'Ready')).toMatchObject({ status: 'True' });
    // And what is made from now on is the same.
    expect(decide(factsOf(world))).toEqual([]);
  });

  test('more memory: settings that follow from it wait until every instance has it', () => {
    const world = converged();
    expect(sharedBuffersIn(world.runtime.definition?.text ?? '')).toBe('480MB');
    respec(world, resources('500m', '4Gi'));
    expect(story(converge(world))).toEqual([
      'shared_buffers 480MB', // another generation, that is all
      'resize orders-3',
      'resize orders-2',
      'resize orders-1',
      'shared_buffers 992MB',
    ]);
  });

  test('a limit alone sizes nothing', () => {
    const world = converged();
    respec(world, { resources: { requests: { cpu: '500m', memory: '2Gi' }, limits: { memory: '4Ti' } } });
    expect(story(converge(world)).filter((line) => line.startsWith('shared_buffers'))).toEqual([
      'shared_buffers 480MB',
    ]);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['less memory', resources('500m', '1Gi'), /orders-1 \(its memory shrinks\)/],
    [
      'no limit any more',
      { resources: { requests: { cpu: '500m', memory: '2Gi' } } },
      /a limit of memory is added or taken away/,
    ],
    [
      'as much guaranteed as allowed',
      { resources: { requests: { cpu: '500m', memory: '2Gi' }, limits: { cpu: '500m', memory: '2Gi' } } },
      /a limit of cpu is added/,
    ],
  ])('where that can’t be, Pods are replaced as ever, and it is said why: %s', (_, spec, says) => {
    const world = converged();
    respec(world, spec);
    expect(condition(world, 'Reconciling')).toMatchObject({
      reason: 'ReplacingInstances',
      message: expect.stringMatching(says) as unknown,
    });
    const done = story(converge(world)).filter((line) => !line.startsWith('shared'));
    expect(done).toEqual(['stop orders-3', 'stop orders-2', 'switchover', 'stop orders-1']);
  });

  test('with something else of the Pod: replaced, and only once', () => {
    const world = converged();
    respec(world, { ...resources('1', '2Gi'), pod: { labels: { team: 'shop' } } });
    expect(story(converge(world)).filter((line) => !line.startsWith('shared'))).toEqual([
      'stop orders-3',
      'stop orders-2',
      'switchover',
      'stop orders-1',
    ]);
  });

  test('an API server that does not offer it: replaced', () => {
    const world = converged();
    world.resize = 'refused';
    respec(world, resources('1', '2Gi'));
    const done = story(converge(world)).filter((line) => !line.startsWith('shared'));
    expect(done.filter((line) => line.startsWith('stop'))).toEqual(['stop orders-3', 'stop orders-2', 'stop orders-1']);
    expect(done[0]).toBe('resize orders-3');
  });

  test('a Pod of an operator that did not say what it asked for: replaced', () => {
    const world = converged();
    for (const [name, pod] of world.pods) world.pods.set(name, { ...pod, resources: undefined });
    respec(world, resources('1', '2Gi'));
    expect(story(converge(world)).filter((line) => line.startsWith('stop'))).toHaveLength(3);
  });

  test('a node that can’t: that one is replaced, the others wait for it, and the former resources heal it', () => {
    const world = converged();
    world.resize = 'Infeasible';
    respec(world, resources('1', '2Gi'));
    expect(story(step(world))).toContain('resize orders-3');
    expect(condition(world, 'Reconciling')).toMatchObject({
      message: expect.stringMatching(/orders-3 \(its node can’t: no room\)/) as unknown,
    });
    world.sick.add('orders-3');
    expect(story(step(world))).toEqual(['stop orders-3']);
    for (let round = 0; round < 5; round += 1) expect(story(step(world))).toEqual([]);
    world.sick.clear();
    respec(world, resources('500m', '2Gi'));
    expect(story(converge(world)).filter((line) => !line.startsWith('shared'))).toEqual(['stop orders-3']);
    expect(condition(world, 'Ready')).toMatchObject({ status: 'True' });
  });

  test('a node without room now: waited for, then replaced; taken back in place meanwhile', () => {
    const world = converged();
    world.resize = 'Deferred';
    respec(world, resources('500m', '4Gi'));
    step(world);
    expect(story(step(world))).toEqual([]);
    expect(condition(world, 'Reconciling')).toMatchObject({
      reason: 'ResizingInstances',
      message: expect.stringMatching(/Now: the node of orders-3 has no room for it yet: no room/) as unknown,
    });
    expect(recheckInMs(factsOf(world))).toBe(300_000);
    const before = world.now;
    world.now += 300_000;
    expect(story(decide(factsOf(world)))).toEqual(['stop orders-3']);
    world.now = before + 60_000;
    world.resize = 'done';
    respec(world, resources('500m', '2Gi'));
    expect(story(converge(world)).filter((line) => !line.startsWith('shared'))).toEqual(['resize orders-3']);
  });

  test('the next one waits for the kubelet', () => {
    const world = converged();
    world.resize = 'InProgress';
    respec(world, resources('1', '2Gi'));
    step(world);
    expect(story(step(world))).toEqual([]);
    setPod(world, 'orders-3', { resizing: undefined });
    expect(story(decide(factsOf(world)))).toEqual(['resize orders-2']);
  });

  test.each<[string, (world: World) => void]>([
    ['another is missing', (world) => void world.pods.delete('orders-2')],
    ['etcd is silent', (world) => (world.etcdAnswers = false)],
  ])('wait while %s', (_, change) => {
    const world = converged();
    change(world);
    respec(world, resources('1', '2Gi'));
    expect(story(decide(factsOf(world))).filter((line) => line.startsWith('resize'))).toEqual([]);
  });
});

function setPod(world: World, instance: string, change: Partial<NonNullable<ReturnType<World['pods']['get']>>>): void {
  const pod = world.pods.get(instance);
  if (pod) world.pods.set(instance, { ...pod, ...change });
}

test.each<[string, ContainerResources, ContainerResources, string | undefined]>([
  ['more CPU', { requests: { cpu: '1' } }, { requests: { cpu: '2' } }, undefined],
  ['less CPU', { limits: { cpu: '2' } }, { limits: { cpu: '1' } }, undefined],
  ['more memory', { limits: { memory: '1Gi' } }, { limits: { memory: '2Gi' } }, undefined],
  ['less memory', { limits: { memory: '2Gi' } }, { limits: { memory: '1Gi' } }, 'its memory shrinks'],
  ['less asked for', { requests: { memory: '2Gi' } }, { requests: { memory: '1Gi' } }, undefined],
  ['the same in other words', { limits: { memory: '1Gi' } }, { limits: { memory: '1024Mi' } }, undefined],
  [
    'scratch space',
    { limits: { 'ephemeral-storage': '1Gi' } },
    { limits: { 'ephemeral-storage': '2Gi' } },
    'ephemeral-storage can’t be changed while it runs',
  ],
  [
    'no longer guaranteed',
    { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } },
    { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } },
    'its quality of service changes',
  ],
  [
    'guaranteed by limits alone',
    { limits: { cpu: '1', memory: '1Gi' } },
    { requests: { cpu: '2', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } },
    undefined,
  ],
])('%s', (_, from, to, against) => {
  expect(reasonAgainstResize(from, to, { usesLess: false })).toBe(against);
  if (against === 'its memory shrinks') expect(reasonAgainstResize(from, to, { usesLess: true })).toBeUndefined();
});

const amounts = fc.record(
  { cpu: fc.constantFrom('1', '2'), memory: fc.constantFrom('1Gi', '2Gi', '3Gi') },
  { requiredKeys: [] },
);
const anyResources = fc.record({ requests: amounts, limits: amounts }, { requiredKeys: [] });

test('what is changed in place keeps its names, its quality of service, and never a smaller limit of memory', () => {
  fc.assert(
    fc.property(anyResources, anyResources, (from, to) => {
      if (reasonAgainstResize(from, to, { usesLess: false }) !== undefined) return;
      const [before, after] = [inFull(from), inFull(to)];
      expect(Object.keys(after.requests).sort()).toEqual(Object.keys(before.requests).sort());
      expect(Object.keys(after.limits).sort()).toEqual(Object.keys(before.limits).sort());
      expect(parseInt(after.limits['memory'] ?? '0', 10)).toBeGreaterThanOrEqual(
        parseInt(before.limits['memory'] ?? '0', 10),
      );
    }),
  );
});
