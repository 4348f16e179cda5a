import { expect, test } from '@jest/globals';
import { goneNodeOf } from './tied-volume.ts';

const node = (name: string, labels: Record<string, string> = { 'kubernetes.io/hostname': name }) => ({
  metadata: { name, labels },
});
const nodes = [node('n1'), node('n3', { 'kubernetes.io/hostname': 'host-3', 'topology.topolvm.io/node': 'n3' })];
const on = (key: string, values: string[], operator = 'In') => ({ matchExpressions: [{ key, operator, values }] });

test.each<[string, object[], string | undefined]>([
  ['the node is there', [on('kubernetes.io/hostname', ['n1'])], undefined],
  ['it is gone', [on('kubernetes.io/hostname', ['n2'])], 'n2'],
  ['by the label, not the name', [on('kubernetes.io/hostname', ['n3'])], 'n3'],
  ['a driver’s own label', [on('topology.topolvm.io/node', ['n2'])], 'n2'],
  ['a driver’s own label, and the node is there', [on('topology.topolvm.io/node', ['n3'])], undefined],
  ['one of several is there', [on('kubernetes.io/hostname', ['n2', 'n1'])], undefined],
  ['all of several are gone', [on('kubernetes.io/hostname', ['n2', 'n4'])], 'n2, n4'],
  ['another term leaves a way', [on('kubernetes.io/hostname', ['n2']), on('disk', ['ssd'])], undefined],
  ['a zone without a node now', [on('topology.kubernetes.io/zone', ['z9'])], undefined],
  ['any node but one', [on('kubernetes.io/hostname', ['n1'], 'NotIn')], undefined],
  ['by its field', [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n2'] }] }], 'n2'],
  ['tied to nothing', [], undefined],
])('a volume whose node is known by its affinity: %s', (_, nodeSelectorTerms, gone) => {
  const volume = { spec: { nodeAffinity: { required: { nodeSelectorTerms } } } };
  expect(goneNodeOf(volume, nodes)).toBe(gone);
});

test('a volume without affinity', () => {
  expect(goneNodeOf({ spec: {} }, nodes)).toBeUndefined();
});
