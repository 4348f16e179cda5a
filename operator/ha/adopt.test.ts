import { describe, expect, test } from '@jest/globals';
import type { AdoptionRecord } from '../api/cluster-state.ts';
import { nothingSeen, type HaState } from './state.ts';
import { step } from './step.ts';
import {
  at,
  first,
  member,
  of,
  primary,
  replica,
  time,
  txnOf,
  view,
  voter,
  written,
  type ViewParts,
} from './testing.ts';
import type { ClusterView } from './view.ts';

const offer = (instance: string, over: Partial<AdoptionRecord> = {}): AdoptionRecord => ({
  request: 'r1',
  ...voter(instance),
  vow: 4,
  position: at(1, '0/100'),
  timeline: 2,
  highestTimeline: 2,
  adoptions: 0,
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
    expect(written(state(['a']), 'history/0000001001')).toMatchObject({ forced: { missing: ['a'] } });
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

describe('an etcd that went back in time under its own name (F9)', () => {
  const older = view({ leader: undefined, promises: { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')] } });
  const seen = { adoptions: 0, revision: 500, rewound: false };
  const restarted = of(
    'c',
    {},
    { view: undefined, seen, database: sealed(), vow: 2, quorumSince: { epoch: 1, at: 0 } },
  );
  const seeing = (state: HaState, later: ClusterView, askedAt?: number): HaState =>
    step(state, { type: 'view', view: later, ...(askedAt === undefined ? {} : { askedAt }) }, time).state;

  test('is known by what the instance has on its disk', () => {
    const state = seeing(restarted, older, time.now);
    expect(state.seen.rewound).toBe(true);
    expect(state.inFlight.dcs).toBe('warn-of-rewind');
    const rewound = { instance: 'b', revision: 500, at: '' };
    expect(first({ ...state, view: { ...older, rewound } })).toMatch(/^wait: blocked: etcd has gone back in time/);
  });
  test('and by those who can’t know it from whoever can; a claim under way then fails', () => {
    const late = { ...restarted, seen: nothingSeen, vow: 1 };
    const told = { ...older, rewound: { instance: 'b', revision: 500, at: '' } };
    expect(first(seeing(late, told, time.now))).toMatch(/^wait: blocked: etcd has gone back in time/);
    const claim = txnOf(
      of(
        'b',
        { leader: undefined, promises: { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')] } },
        { database: sealed(), vow: 2, quorumSince: { epoch: 1, at: 0 } },
      ),
    );
    expect(claim.txn.compare).toContainEqual({ key: 'rewound', is: 'absent' });
  });
  test('and by one that lived through it, from an answer to a question asked later', () => {
    const living = of(
      'c',
      {},
      { view: { ...older, revision: 500 }, viewAt: time.now - 50, seen, database: sealed(), vow: 2 },
    );
    expect(seeing(living, older, time.now - 100).seen.rewound).toBe(false); // a late answer
    expect(seeing(living, older).seen.rewound).toBe(false); // a late watch event
    expect(seeing(living, older, time.now - 10).seen.rewound).toBe(true);
  });
  test('stays so however far its revisions grow, until it is adopted', () => {
    const rewound = seeing(restarted, older, time.now);
    const grown = seeing(rewound, { ...older, revision: 9000 }, time.now);
    expect(first({ ...grown, inFlight: { ...grown.inFlight, dcs: undefined } })).toBe('warn-of-rewind');
    const initialize = { systemIdentifier: '7', etcdClusterId: 'e1', at: '', adoptions: 1 };
    expect(seeing(grown, { ...older, revision: 9001, initialize }, time.now).seen).toEqual({
      adoptions: 1,
      revision: 9001,
      rewound: false,
    });
  });
  test('what it has been is noted when the epoch or the sync set changes, not each time', () => {
    const effects = (later: ClusterView): readonly string[] =>
      step(of('b', {}), { type: 'view', view: later }, time).effects.map(({ type }) => type);
    expect(effects(view({ epoch: 2 }))).toContain('remember');
    expect(effects({ ...view(), revision: 101 })).not.toContain('remember');
  });
});

test('a position that an other history gave is looked at anew, in the adoption and after it', () => {
  // Sealed while the former etcd still told that timeline 3 began with epoch 2; this one knows nothing of it.
  const before = sealed('0/900', 2, 3);
  expect(first(of('b', { ...replaced, adopt: adopt() }, { database: before }))).toBe('seal');
  expect(first(of('b', { ...replaced, adopt: adopt() }, { database: sealed('0/900', 4, 3) }))).toBe('offer-adoption');
  const history = [{ epoch: 5, winner: 'b', reason: 'Adopted', timeline: 3, at: '' }];
  expect(first(of('b', { epoch: 5, leader: undefined, history }, { database: before, vow: 5 }))).toBe('seal');
});

describe('an adoption without some instances', () => {
  const adoptions = [offer('b', { highestTimeline: 4 }), offer('c')];
  const state = of('b', { ...replaced, adopt: adopt(['a']), adoptions }, { database: sealed(), vow: 4 });
  test('leaves out epochs and timelines that only they may know of', () => {
    expect(written(state, 'epoch')).toBe(1001);
    expect(written(state, 'history/0000001000')).toMatchObject({ timeline: 104 });
    expect(written(state, 'history/0000001001')).toMatchObject({ timeline: 2 });
  });
  test('waits for all that this etcd has heard of, defined or not', () => {
    const members = [member('d')];
    const more = of('b', { ...replaced, adopt: adopt(['a']), adoptions, members }, { database: sealed(), vow: 4 });
    expect(first(more)).toBe('wait: adopting: waiting for d');
  });
});

describe('an etcd that has lost everything', () => {
  const empty = (state: HaState): HaState => ({
    ...state,
    view: state.view && { ...state.view, epoch: 0, initialize: undefined, sync: undefined, history: new Map() },
  });
  test('is adopted like another one', () => {
    const adoptions = ['a', 'b', 'c'].map((name) => offer(name, { position: at(2, '0/100') }));
    const state = empty(of('a', { ...replaced, adopt: adopt(), adoptions }, { database: sealed('0/100', 2), vow: 4 }));
    expect(first(state)).toBe('adopt');
    expect(written(state, 'initialize')).toMatchObject({ systemIdentifier: '7', etcdClusterId: 'e2', adoptions: 1 });
  });
  test('doesn’t make an instance without data found the cluster anew', () => {
    const founded = empty(
      of('c', { ...replaced, definition: { founded: true } }, { database: { status: 'absent' }, vow: 0 }),
    );
    expect(first(founded)).toMatch(/^wait: blocked: this cluster has had data/);
  });
});

test('the view tells the etcd it came from', () => expect(view(replaced).etcdClusterId).toBe('e2'));
