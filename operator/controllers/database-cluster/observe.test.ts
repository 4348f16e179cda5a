import { describe, expect, test } from '@jest/globals';
import { sampleCluster, sampleUid } from '../../resources/sample-cluster.ts';
import { identityOfData, observedPod, observedVolume } from './observe.ts';

const cluster = sampleCluster();
const metadata = {
  name: 'orders-2',
  namespace: 'shop',
  uid: 'u',
  resourceVersion: '7',
  creationTimestamp: '2026-11-21T08:00:00Z',
  labels: {
    'app.kubernetes.io/managed-by': 'mainstay',
    'app.kubernetes.io/name': 'postgres',
    'mainstay.dev/cluster': 'orders',
    'mainstay.dev/role': 'replica',
  },
  annotations: { 'mainstay.dev/intent': 'abc', 'mainstay.dev/generation': '3', 'mainstay.dev/cluster-uid': 'first' },
};
const status = (name: string, state: object) => ({
  name,
  image: 'i',
  imageID: '',
  ready: false,
  restartCount: 0,
  state,
});

describe('a Pod', () => {
  test('as the kubelet reports it', () => {
    const pod = observedPod(
      {
        metadata,
        spec: { nodeName: 'n2', containers: [] },
        status: {
          phase: 'Running',
          podIP: '10.0.0.2',
          conditions: [{ type: 'Ready', status: 'True' }],
          containerStatuses: [status('postgres', { running: { startedAt: '2026-11-21T08:00:05Z' } })],
        },
      },
      cluster,
    );
    expect(pod).toMatchObject({
      instance: 'orders-2',
      ours: true,
      intent: 'abc',
      generation: 3,
      ready: true,
      running: true,
      node: 'n2',
      address: '10.0.0.2',
      roleLabel: 'replica',
      deleting: false,
      waiting: undefined,
      unschedulable: undefined,
    });
  });

  test.each([
    ['an image that can’t be pulled', { waiting: { reason: 'ImagePullBackOff', message: 'no' } }, 'ImagePullBackOff'],
    ['ordinary creation', { waiting: { reason: 'ContainerCreating' } }, undefined],
  ])('%s', (_, state, reason) => {
    const pod = observedPod({ metadata, status: { containerStatuses: [status('postgres', state)] } }, cluster);
    expect(pod.waiting?.reason).toBe(reason);
  });

  test('that no node takes', () => {
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/3 nodes',
      lastTransitionTime: '2026-11-21T08:00:01Z',
    };
    const pod = observedPod({ metadata, status: { conditions: [condition] } }, cluster);
    expect(pod.unschedulable).toEqual({ since: Date.parse('2026-11-21T08:00:01Z'), message: '0/3 nodes' });
  });

  test('of somebody else', () => {
    expect(observedPod({ metadata: { ...metadata, labels: {} } }, cluster).ours).toBe(false);
  });
});

describe('identity of the data', () => {
  const volume = (instance: string, uid: string | undefined, deleting = false) => {
    const observed = observedVolume(
      {
        metadata: {
          ...metadata,
          name: instance,
          annotations: uid === undefined ? {} : { 'mainstay.dev/cluster-uid': uid },
          ...(deleting && { deletionTimestamp: '2026-11-21T08:00:00Z' }),
        },
        spec: { resources: { requests: { storage: '1Gi' } } },
      },
      cluster,
    );
    if (!observed) throw new Error(`${instance} is no volume of the cluster`);
    return observed;
  };

  test.each([
    ['no volume', [], sampleUid],
    ['a retained one', [volume('orders-2', 'first')], 'first'],
    ['the lowest number counts', [volume('orders-2', 'b'), volume('orders-1', 'a')], 'a'],
    ['one on its way out does not', [volume('orders-1', 'a', true)], sampleUid],
    ['one without a mark does not', [volume('orders-1', undefined)], sampleUid],
  ])('%s', (_, volumes, expected) => {
    expect(identityOfData(sampleCluster(), volumes)).toBe(expected);
  });

  test('once known, it stays', () => {
    expect(identityOfData(sampleCluster({}, {}, { dataUid: 'known' }), [volume('orders-1', 'a')])).toBe('known');
  });
});
