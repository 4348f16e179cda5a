import { describe, expect, test } from '@jest/globals';
import type { AdoptionRecord } from '../api/cluster-state.ts';
import { at, first, of, primary, replica, time, txnOf, view, voter, written, type ViewParts } from './testing.ts';

const offer = (instance: string, over: Partial<AdoptionRecord> = {}): AdoptionRecord => ({
  request: 'r1',
  ...voter(instance),
  vow: 4,
  position: at(1, '0/100'),
  timeline: 2,
  systemIdentifier: '7',
  ...over,
});
const adopt = (without: readonly string[] = [], etcdClusterId = 'e2'): ViewParts['adopt'] => ({
  value: { id: 'r1', etcdClusterId, without, reason: 'restored' },
  modRevision: 60,
  lease: '0',
});
const sealed = (lsn = '0/100', epoch = 1, timeline = 2): ReturnType<typeof replica> =>
  replica({ sealed: at(epoch, lsn), timeline });
const replaced: ViewParts = { etcdClusterId: 'e2', leader: undefined };

describe('an etcd that the cluster did not begin with (F9)', () => {
  test('freezes elections', () => {
    const promises = { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')] } as const;
    expect(first(of('b', { ...replaced, promises }, { database: sealed() }))).toMatch(/^wait: blocked/);
  });
  test('is not adopted by a request that means another one', () =>
    expect(first(of('b', { ...replaced, adopt: adopt([], 'e3') }, { database: sealed() }))).toMatch(/^wait: blocked/));

  test('is adopted step by step: stop, seal, offer', () => {
    const parts = { ...replaced, adopt: adopt() };
    expect(first(of('a', parts, { database: primary(), proven: { epoch: 1, until: time.now + 100 } }))).toBe('stop');
    expect(first(of('b', parts, { database: replica() }))).toBe('seal');
    expect(first(of('b', parts, { database: sealed() }))).toBe('offer-adoption');
  });
  test('waits for every instance, or a person’s word that one may be missing', () => {
    const adoptions = [offer('b'), offer('c')];
    const state = (without: readonly string[]): ReturnType<typeof of> =>
      of('b', { ...replaced, adopt: adopt(without), adoptions }, { database: sealed(), vow: 4 });
    expect(first(state([]))).toBe('wait: adopting: waiting for a');
    expect(first(state(['a']))).toBe('adopt');
    expect(written(state(['a']), 'history/0000000005')).toMatchObject({ forced: { missing: ['a'] } });
  });
  test('begins above every vow, with the longest log as the only one who may claim', () => {
    // Timelines 5 and 6 belong to epochs that the restored etcd has forgotten.
    const adoptions = [
      offer('a', { vow: 6, timeline: 6, position: at(7, '0/300') }),
      offer('b', { timeline: 5, position: at(6, '0/900') }),
      offer('c'),
    ];
    const state = of('a', { ...replaced, adopt: adopt(), adoptions }, { database: sealed('0/300', 7, 6), vow: 6 });
    expect(first(state)).toBe('adopt');
    expect(written(state, 'epoch')).toBe(8);
    expect(written(state, 'sync')).toMatchObject({ epoch: 8, primary: voter('a'), members: [], acknowledgements: 1 });
    expect(written(state, 'history/0000000007')).toMatchObject({ timeline: 5 });
    expect(written(state, 'history/0000000008')).toMatchObject({ timeline: 6, winner: 'a', reason: 'Adopted' });
    expect(written(state, 'initialize')).toMatchObject({ etcdClusterId: 'e2' });
    const stale = of('b', { ...replaced, adopt: adopt(), adoptions }, { database: sealed('0/900', 6, 5), vow: 4 });
    expect(first(stale)).toBe('wait: adopting: a decides');
  });
  test('deletes what the old promises said', () => {
    const promises = { b: [2, at(1, '0/100')] } as const;
    const adoptions = ['a', 'b', 'c'].map((name) => offer(name));
    const state = of('a', { ...replaced, adopt: adopt(), adoptions, promises }, { database: sealed(), vow: 4 });
    expect(txnOf(state).txn.writes).toContainEqual({ delete: 'promises/b' });
  });
  test('leads to a new seal, by the epochs that are known then', () =>
    expect(first(of('b', { epoch: 5, leader: undefined }, { database: sealed('0/100', 9, 7), vow: 5 }))).toBe('seal'));
});

test('the view tells the etcd it came from', () => expect(view(replaced).etcdClusterId).toBe('e2'));
