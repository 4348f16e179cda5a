import { describe, expect, test } from '@jest/globals';
import { keys, type PromiseRecord, type SyncState, type Voter } from '../../api/cluster-state.ts';
import { parseView, type ClusterView } from '../view.ts';
import { explain } from '../explain.ts';
import { judgeForming } from './promises.ts';

const source = 'aaaaaaaa-0000-4000-8000-000000000000';
const voter = (n: number, life = 1): Voter => ({ instance: `g-${n}`, incarnation: `life-${n}-${life}` });

/** Group 4 is over; what each of the three has said since. */
function view(
  promises: readonly { readonly n: number; readonly gtids: string; readonly life?: number; readonly epoch?: number }[],
): ClusterView {
  const sync: SyncState = { epoch: 5, primary: voter(1), members: [voter(2), voter(3)], acknowledgements: 1 };
  const values: Readonly<Record<string, object | number>> = {
    [keys.definition]: {
      generation: 1,
      engine: 'mysql',
      version: '9.7',
      instances: ['g-1', 'g-2', 'g-3'],
      durability: { mode: 'Strict', acknowledgements: 1 },
      parameters: {},
      application: { database: 'app', owner: 'app' },
      tags: { 'g-3': { priority: 10 } },
      group: { mode: 'SinglePrimary' },
    },
    [keys.epoch]: 5,
    [keys.group]: { number: 4, ...voter(1), right: 'r', at: '' },
    [keys.sync]: sync,
    ...Object.fromEntries(
      promises.map(({ n, gtids, life, epoch = 5 }): [string, PromiseRecord] => [
        keys.promise(`g-${n}`),
        { ...voter(n, life), epoch, position: { epoch: 4, gtids } },
      ]),
    ),
  };
  const entries = Object.entries(values).map(
    ([key, value]) => [key, { value: JSON.stringify(value), modRevision: 1, lease: '' }] as const,
  );
  return parseView(new Map(entries), { revision: 1, clusterId: 'e' });
}

describe('who may form the group anew', () => {
  test.each([
    [
      'the one whose log contains all others',
      [
        { n: 1, gtids: `${source}:1-7` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: `${source}:1-8` },
      ],
      { verdict: 'may', instance: 'g-2' },
    ],
    [
      'of equals the preferred one',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: `${source}:1-9` },
      ],
      { verdict: 'may', instance: 'g-3' },
    ],
    [
      'nobody while one is silent, however long the logs of the others are',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
      ],
      { verdict: 'wait', missing: ['g-3'] },
    ],
    [
      'nobody by a promise of an earlier time',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: `${source}:1-9`, epoch: 4 },
      ],
      { verdict: 'wait', missing: ['g-3'] },
    ],
    [
      'nobody by the word of a new volume, whose former data may have held more',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: '', life: 2 },
      ],
      { verdict: 'wait', missing: ['g-3'] },
    ],
    [
      'nobody where two logs have diverged',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-8,bbbbbbbb-0000-4000-8000-000000000000:1` },
        { n: 3, gtids: `${source}:1-8` },
      ],
      { verdict: 'diverged', between: ['g-1', 'g-2'] },
    ],
  ] as const)('%s', (_, promises, expected) => {
    expect(judgeForming(view(promises))).toEqual(expected);
  });
});

test('people are told whose word is missing, and what would help', () => {
  const { summary } = explain({
    ...view([{ n: 1, gtids: `${source}:1-9` }]),
    initialize: { systemIdentifier: 's', etcdClusterId: 'e', at: '' },
  });
  expect(summary).toContain('Needed: g-2, g-3.');
  expect(summary).toContain('a failover can be forced');
});
