import { describe, expect, test } from '@jest/globals';
import type { Tags } from '../../api/cluster-state.ts';
import { publishedDefinition } from '../cluster-runtime.ts';
import { emptyRuntime, member } from '../database-cluster/modelled-world.ts';
import { decideDrain, stuckDrains, type ClusterOnNode, type NodeFacts } from './decide.ts';
import { nodeState } from './node-state.ts';

const identity = { namespace: 'shop', name: 'orders', uid: 'u' };
const runtime = {
  ...emptyRuntime,
  epoch: 3,
  leader: { instance: 'orders-1', incarnation: 'a', epoch: 3, lease: '1' },
  sync: {
    epoch: 3,
    primary: { instance: 'orders-1', incarnation: 'a' },
    members: [{ instance: 'orders-3', incarnation: 'c' }],
    acknowledgements: 1,
  },
  members: new Map([
    ['orders-1', member('orders-1', true, 3)],
    ['orders-2', member('orders-2', false, 3, { position: { epoch: 3, lsn: '0/9000000' } })],
    ['orders-3', member('orders-3', false, 3)],
  ]),
};
const cluster: ClusterOnNode = {
  identity,
  paused: false,
  runtime,
  instancesHere: ['orders-1'],
  eligible: ['orders-2', 'orders-3'],
  sinceSwitchoverRequestMs: Infinity,
};
const draining = { ready: true, draining: true, outOfService: false, zone: undefined };
const facts = (change: Partial<ClusterOnNode> = {}, node: NodeFacts['node'] = draining): NodeFacts => ({
  name: 'n1',
  node,
  clusters: [{ ...cluster, ...change }],
});
const withFailing = (name: string) => ({
  ...runtime,
  members: new Map(runtime.members).set(name, member(name, false, 3, { failing: 'DiskStalled' })),
});
const bothMembers = ['orders-2', 'orders-3'].map((instance) => ({ instance, incarnation: instance }));
const tagged = (tags: Record<string, Partial<Tags>>) => ({
  ...runtime,
  definition: publishedDefinition({ value: JSON.stringify({ instances: [], tags }), modRevision: 1 }),
});
const request = { id: 'x', from: 'orders-1', reason: 'r', deadline: '', modRevision: 1 };

test.each<[string, NodeFacts, string | undefined]>([
  ['a member of the sync set first', facts(), 'orders-3'],
  ['another, if that one is not eligible', facts({ eligible: ['orders-2'] }), 'orders-2'],
  ['one whose disk fails', facts({ runtime: withFailing('orders-3') }), 'orders-2'],
  ['nobody eligible', facts({ eligible: [] }), undefined],
  ['one that never leads', facts({ runtime: tagged({ 'orders-3': { noFailover: true } }) }), 'orders-2'],
  [
    'a member of the sync set, whatever its priority',
    facts({ runtime: tagged({ 'orders-2': { priority: 9 } }) }),
    'orders-3',
  ],
  [
    'among members of the sync set the highest priority',
    facts({ runtime: { ...tagged({ 'orders-3': { priority: 9 } }), sync: { ...runtime.sync, members: bothMembers } } }),
    'orders-3',
  ],
  ['a candidate that does not stream', facts({ eligible: ['orders-1'] }), undefined],
  ['the node stays', facts({}, { ...draining, draining: false }), undefined],
  ['the node is gone', { ...facts(), node: undefined }, undefined],
  ['only a replica here', facts({ instancesHere: ['orders-2'] }), undefined],
  ['nobody leads', facts({ runtime: { ...runtime, leader: undefined } }), undefined],
  ['etcd is silent', facts({ runtime: undefined }), undefined],
  ['a request stands', facts({ runtime: { ...runtime, switchover: request } }), undefined],
  ['asked a moment ago', facts({ sinceSwitchoverRequestMs: 3_000 }), undefined],
  ['asked long ago', facts({ sinceSwitchoverRequestMs: 12_000 }), 'orders-3'],
  ['paused', facts({ paused: true }), undefined],
])('%s', (_, given, to) => {
  expect(decideDrain(given)).toEqual(to === undefined ? [] : [{ identity, from: 'orders-1', to }]);
});

test.each([
  ['cordoned', { unschedulable: true }, { draining: true, outOfService: false }],
  ['autoscaler', { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] }, { draining: true }],
  ['karpenter', { taints: [{ key: 'karpenter.sh/disrupted', effect: 'NoSchedule' }] }, { draining: true }],
  ['not ready', { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }] }, { draining: false }],
  [
    'out of service',
    { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] },
    { draining: false, outOfService: true },
  ],
])('%s', (_, spec, expected) => {
  expect(nodeState({ spec, status: { conditions: [{ type: 'Ready', status: 'True' }] } })).toMatchObject({
    ready: true,
    ...expected,
  });
});

test('the zone of a node is what its label says', () => {
  expect(nodeState({ metadata: { labels: { 'topology.kubernetes.io/zone': 'eu-west-1a' } } }).zone).toBe('eu-west-1a');
  expect(nodeState({ metadata: { labels: {} } }).zone).toBeUndefined();
});

describe('a primary that can’t leave a draining node is told of', () => {
  const alone = { ...runtime, members: new Map([...runtime.members].filter(([name]) => name === 'orders-1')) };
  test.each<[string, NodeFacts, RegExp | undefined]>([
    ['somebody can take over', facts(), undefined],
    ['asked a moment ago', facts({ sinceSwitchoverRequestMs: 0 }), undefined],
    ['nobody else is ready on a node that stays', facts({ eligible: ['orders-1'] }), /no other instance is ready/],
    ['it is alone', facts({ runtime: alone, eligible: ['orders-1'] }), /there is no other instance/],
    ['paused', facts({ paused: true }), /spec\.paused/],
    ['the node stays', facts({ eligible: [] }, { ...draining, draining: false }), undefined],
    ['only a replica here', facts({ instancesHere: ['orders-2'], eligible: [] }), undefined],
  ])('%s', (_, given, note) => {
    const told = stuckDrains(given);
    expect(told).toHaveLength(note ? 1 : 0);
    if (note) expect(told[0]?.note).toMatch(note);
  });
});
