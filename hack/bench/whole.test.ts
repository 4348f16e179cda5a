import { expect, test } from '@jest/globals';
import type { ClusterRuntime } from '../../operator/controllers/cluster-runtime.ts';
import { whatIsMissing } from './whole.ts';

const voter = (instance: string) => ({ instance, incarnation: 'i' });
const member = (instance: string, state: string) => [instance, { instance, state }] as const;
const runtime = (more: object = {}): ClusterRuntime =>
  ({
    leader: { ...voter('a'), epoch: 1, lease: '1' },
    sync: { epoch: 1, primary: voter('a'), members: [voter('b'), voter('c')], acknowledgements: 1 },
    members: new Map([member('a', 'running'), member('b', 'streaming'), member('c', 'streaming')]),
    ...more,
  }) as unknown as ClusterRuntime;
const instances = ['a', 'b', 'c'];

test('nothing is missing where every replica streams and is counted', () => {
  expect(whatIsMissing(runtime(), instances)).toEqual([]);
});

test.each<[string, object, string]>([
  ['nobody leads', { leader: undefined }, 'no leader'],
  ['a switchover is under way', { switchover: {} }, 'a switchover is asked for'],
  [
    'the leader is not there yet',
    { members: new Map([member('a', 'promoting'), member('b', 'streaming'), member('c', 'streaming')]) },
    'a leads and does not serve yet',
  ],
  ['a replica is silent', { members: new Map([member('a', 'running'), member('b', 'streaming')]) }, 'not streaming: c'],
  [
    'a replica is not counted',
    { sync: { epoch: 1, primary: voter('a'), members: [voter('c')], acknowledgements: 1 } },
    'not in the sync set: b',
  ],
])('%s', (_, more, expected) => {
  expect(whatIsMissing(runtime(more), instances)).toEqual([expected]);
});
