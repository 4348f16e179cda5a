import { describe, expect, test } from '@jest/globals';
import type { Member } from '../api/cluster-state.ts';
import type { DatabaseState, HaState } from './state.ts';
import { step } from './step.ts';
import { decide } from './decide.ts';
import {
  at,
  first,
  member,
  of,
  primary,
  replica,
  sealedAt,
  stopped,
  time,
  txnOf,
  view,
  voter,
  written,
  type ViewParts,
} from './testing.ts';

describe('fencing', () => {
  const proven = { epoch: 1, until: 10_500 };
  test.each([
    ['serves while the lease is proven', { database: primary(), proven, replicas: ['b', 'c'] }, 'wait: serving'],
    ['dies when it no longer is', { database: primary(), proven: { epoch: 1, until: 10_000 } }, 'kill'],
    ['dies without any proof', { database: primary() }, 'kill'],
    [
      'dies even while something else is under way',
      { database: primary(), inFlight: { database: 'configure-sync', dcs: undefined, disk: false } },
      'kill',
    ],
    [
      'dies while becoming primary as well',
      { database: replica(), inFlight: { database: 'promote', dcs: undefined, disk: false } },
      'kill',
    ],
    [
      'is killed once',
      { database: primary(), inFlight: { database: 'kill', dcs: undefined, disk: false } },
      'wait: the lease can no longer be proven',
    ],
  ] as const)('a primary %s', (_, over, expected) => {
    const replicas = ('replicas' in over ? over.replicas : []).map((name) => ({ voter: voter(name), streaming: true }));
    expect(first(of('a', {}, { ...(over as Partial<HaState>), replicas }))).toBe(expected);
  });
  test('a deposed primary dies', () => {
    const history = [{ epoch: 2, winner: 'b', reason: '', timeline: 3, at: '' }];
    expect(
      first(
        of('a', { epoch: 2, leader: 'b', sync: { primary: voter('b') }, history }, { database: primary(), proven }),
      ),
    ).toBe('kill');
  });
  test('one that has claimed the newer epoch itself does not', () => {
    const history = [{ epoch: 2, winner: 'a', reason: 'PrimaryAlive', timeline: 2, lineage: [], at: '' }];
    const replicas = [voter('b'), voter('c')].map((v) => ({ voter: v, streaming: true }));
    expect(first(of('a', { epoch: 2, history }, { database: primary(), proven, replicas, vow: 2 }))).toBe(
      'wait: serving',
    );
  });
});

describe('the way to an election', () => {
  test('a replica follows while its primary is there', () => {
    const following = { epoch: 1, instance: 'a', address: '10.0.0.1' };
    expect(first(of('b', {}, { database: replica({ following }) }))).toBe('wait: following a');
    expect(first(of('b', {}, { database: replica() }))).toBe('follow');
  });
  test('a replica whose log can’t be judged yet waits for the primary’s history, without asking again and again', () => {
    const database = replica({ unjudged: { epoch: 1 } });
    const begun = { epoch: 1, winner: 'a', reason: 'Elected' as const, timeline: 2, at: '' };
    expect(first(of('b', { history: [begun] }, { database }))).toBe('wait: waiting for a to tell its history');
    expect(first(of('b', { history: [{ ...begun, lineage: [] }] }, { database }))).toBe('follow');
  });
  test('one replica that has lost it alone does not seal (F16)', () => {
    const following = { epoch: 1, instance: 'a', address: '10.0.0.1' };
    expect(first(of('b', {}, { database: replica({ following }), lostPrimaryOf: 1 }))).toBe('wait: following a');
  });
  test('as many as a takeover needs do', () => {
    const members = [member('a'), member('b'), member('c', { lostPrimaryOf: 1 })];
    expect(first(of('b', { members }, { database: replica(), lostPrimaryOf: 1 }))).toBe('seal');
  });
  test('an ended lease is enough', () =>
    expect(first(of('b', { leader: undefined }, { database: replica() }))).toBe('seal'));
  test('the vow is on disk before the promise is sent', () => {
    expect(first(of('b', { leader: undefined }, { database: sealedAt('0/100') }))).toBe('write-vow');
    expect(first(of('b', { leader: undefined }, { database: sealedAt('0/100'), vow: 2 }))).toBe('promise');
  });
  test('a vow that is being written binds already', () => {
    const writing = of(
      'b',
      {},
      { database: sealedAt('0/100'), inFlight: { database: undefined, dcs: undefined, disk: true } },
    );
    expect(first(writing)).toBe('wait: writing a vow');
  });
  test('having promised, it does not go back to the old primary (F4, F8)', () => {
    const promises = { b: [2, at(1, '0/100')] } as const;
    expect(first(of('b', { promises }, { database: sealedAt('0/100'), vow: 2 }))).toBe(
      'wait: blocked: needs 1 more of c',
    );
  });
  test('without a quorum nobody claims, whether the lease lives or not (F1)', () => {
    const promises = { b: [2, at(1, '0/100')] } as const;
    expect(first(of('b', { leader: undefined, promises }, { database: sealedAt('0/100'), vow: 2 }))).toBe(
      'wait: blocked: needs 1 more of c',
    );
  });
  test('etcd that went back in time freezes everything (F9)', () => {
    expect(first(of('b', { leader: undefined }, { database: replica(), vow: 5 }))).toBe('warn-of-rewind');
    const state = of('b', { leader: undefined }, { database: replica() });
    expect(first({ ...state, view: { ...view({ leader: undefined }), etcdClusterId: 'restored' } })).toMatch(
      /^wait: blocked/,
    );
  });
});

describe('the claim', () => {
  const promises = { b: [2, at(1, '0/200')], c: [2, at(1, '0/100')] } as const;
  const ready = (over: ViewParts = {}): HaState =>
    of('b', { leader: undefined, promises, ...over }, { database: sealedAt('0/200'), vow: 2 });

  test('compares all it was decided from (F2) and writes all that follows from it (F3)', () => {
    const state = ready();
    expect(first(state)).toBe('claim');
    expect(txnOf(state).txn.compare).toEqual([
      { key: 'rewound', is: 'absent' },
      { key: 'epoch', is: 'value', value: '1' },
      { key: 'sync', is: 'modRevision', modRevision: 20 },
      { key: 'leader', is: 'absent' },
      { key: 'promises/b', is: 'modRevision', modRevision: 30 },
    ]);
    expect(written(state, 'sync')).toEqual({
      epoch: 2,
      primary: voter('b'),
      members: [voter('c'), voter('a')],
      acknowledgements: 1,
    });
    expect(written(state, 'history/0000000002')).toMatchObject({
      timeline: 3,
      position: at(1, '0/200'),
      reason: 'LeaseExpired',
    });
  });
  test('replaces a leader whose lease still lives, and no other', () => {
    const members = [member('b', { lostPrimaryOf: 1 }), member('c', { lostPrimaryOf: 1 })];
    const state = ready({ leader: 'a', members });
    expect(txnOf(state).txn.compare).toContainEqual({ key: 'leader', is: 'modRevision', modRevision: 10 });
    expect(written(state, 'history/0000000002')).toMatchObject({ reason: 'PrimaryUnreachable' });
  });
  test('never takes a timeline that was seen before (F7)', () => {
    const state = ready({
      history: [
        { epoch: 1, winner: 'a', reason: '', timeline: 2, at: '' },
        { epoch: 0, winner: 'x', reason: '', timeline: 8, at: '' },
      ],
    });
    expect(written(state, 'history/0000000002')).toMatchObject({ timeline: 9 });
    expect(
      written({ ...state, database: replica({ sealed: at(1, '0/200'), highestTimeline: 11 }) }, 'history/0000000002'),
    ).toMatchObject({ timeline: 12 });
  });
  test('is left to a better one for a while, then made', () => {
    const state = of(
      'c',
      { leader: undefined, promises: { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')] } },
      { database: sealedAt('0/100'), vow: 2 },
    );
    expect(first({ ...state, quorumSince: { epoch: 1, at: 10_000 } })).toBe('wait: leaving the claim to b');
    expect(first({ ...state, quorumSince: { epoch: 1, at: 8_900 } })).toBe('claim');
  });
  test('waits a moment for members that are alive and have not promised', () => {
    const state = ready({ sync: { acknowledgements: 2 }, promises: { b: promises.b } });
    expect(first({ ...state, quorumSince: { epoch: 1, at: 10_000 } })).toBe('wait: waiting a moment for c');
    expect(first({ ...state, quorumSince: { epoch: 1, at: 9_700 } })).toBe('claim');
  });
  test('where one promise is a quorum, the primary gets time to answer (F20)', () => {
    const state = ready({
      leader: 'a',
      sync: { members: [voter('b')] },
      promises: { b: promises.b },
      members: [member('b', { lostPrimaryOf: 1 })],
    });
    const lost = { ...state, lostPrimaryOf: 1 };
    expect(first({ ...lost, quorumSince: { epoch: 1, at: 9_500 } })).toMatch(/^wait: one promise is a quorum/);
    expect(first({ ...lost, quorumSince: { epoch: 1, at: 9_000 } })).toBe('claim');
  });
  test('Async waits until the former holder has fenced itself, unless it released (F15)', () => {
    const async = {
      sync: { members: [], acknowledgements: 0 },
      definition: { durability: { mode: 'Async', acknowledgements: 0 } as const },
    };
    const state = { ...ready({ ...async, promises }), quorumSince: { epoch: 1, at: 0 } };
    expect(first({ ...state, leaderGoneSince: { epoch: 1, at: 8_000 } })).toMatch(
      /^wait: waiting until the former primary is fenced/,
    );
    expect(first({ ...state, leaderGoneSince: { epoch: 1, at: 5_000 } })).toBe('claim');
    // A key that has just vanished, of a primary that was silent for a whole TTL: expired, and its holder fenced before.
    const gone = { ...state, leaderGoneSince: { epoch: 1, at: 9_990 } };
    expect(first({ ...gone, primaryHeard: { epoch: 1, at: 4_500 } })).toBe('claim');
    // Of one that answered since: revoked by somebody else.
    expect(first({ ...gone, primaryHeard: { epoch: 1, at: 6_000 } })).toMatch(
      /^wait: waiting until the former primary/,
    );
    const released = {
      ...ready({ ...async, promises, release: { epoch: 1, instance: 'a', reason: 'Switchover' } }),
      quorumSince: { epoch: 1, at: 0 },
    };
    expect(first(released)).toBe('claim');
  });
});

describe('a primary counts as heard', () => {
  const heard = (viewAt: number, members: readonly Member[]): HaState['primaryHeard'] => {
    const before = of('b', { members: [member('a'), member('b')] }, { viewAt });
    return step(before, { type: 'view', view: { ...view({ members }), revision: 101 } }, time).state.primaryHeard;
  };
  test('when it has told etcd something of itself', () =>
    expect(heard(9_900, [member('a', { message: 'news' })])).toEqual({ epoch: 1, at: time.now }));
  test('when nothing was seen of etcd for so long that it may have', () =>
    expect(heard(8_000, [])).toEqual({ epoch: 1, at: time.now }));
  test('not when others told something', () => expect(heard(9_900, [])).toBeUndefined());
});

describe('becoming and being primary', () => {
  const claimed: ViewParts = {
    epoch: 2,
    leader: 'b',
    sync: { primary: voter('b'), members: [voter('c'), voter('a')] },
    history: [{ epoch: 2, winner: 'b', reason: '', timeline: 3, at: '' }],
  };
  const proven = { epoch: 2, until: 14_000 };
  test('promotes only with a proof of the new epoch, a vow for it and a log that has not moved', () => {
    expect(first(of('b', claimed, { database: sealedAt('0/200'), vow: 2 }))).toBe(
      'wait: waiting for proof of the lease',
    );
    expect(first(of('b', claimed, { database: sealedAt('0/200'), vow: 1, proven }))).toBe('write-vow');
    expect(first(of('b', claimed, { database: sealedAt('0/200'), vow: 2, proven }))).toBe('promote');
    expect(first(of('b', claimed, { database: replica(), vow: 2, proven }))).toBe('release');
  });
  test('lets go of leadership only when a promotion under way has ended, for it may end as a primary', () => {
    const promoting = {
      database: sealedAt('0/200'),
      vow: 2,
      proven,
      inFlight: { database: 'promote', dcs: undefined, disk: false },
    } as const;
    expect(first(of('b', claimed, { ...promoting, ending: true }))).toBe('wait: becoming primary of epoch 2');
  });
  test('opens before anything else, and records its timeline meanwhile', () => {
    const state = of('b', claimed, { database: primary({ epoch: 2, timeline: 3, open: false }), vow: 2, proven });
    expect(decide(state).effects.map((e) => (e.type === 'txn' ? e.purpose : e.type))).toEqual(['open', 'history']);
  });
  test('keeps one lineage and the last epochs: each lineage is as long as all before it', () => {
    const lineage = [{ timeline: 1, end: '0/1' }];
    const history = Array.from({ length: 100 }, (_, index) => index + 1).map((epoch) => ({
      ...{ epoch, winner: 'b', reason: '', timeline: epoch + 1, at: '' },
      ...(epoch === 99 ? { lineage } : {}),
    }));
    const database = primary({ epoch: 100, timeline: 101 });
    const writes = txnOf(
      of('b', { ...claimed, epoch: 100, history }, { database, vow: 100, proven: { epoch: 100, until: 14_000 } }),
    ).txn.writes;
    expect(writes).toContainEqual({ put: 'history/0000000099', value: expect.not.objectContaining({ lineage }) });
    expect(writes.filter((write) => 'delete' in write)).toHaveLength(36);
    expect(writes).toContainEqual({ delete: 'history/0000000036' });
  });
  test('changes the sync set one step at a time: never the database while a write to etcd is in flight, nor the reverse (F4)', () => {
    const replicas = [voter('b'), voter('c')].map((v) => ({ voter: v, streaming: true }));
    const state = of(
      'a',
      { sync: { members: [voter('b'), voter('c')] } },
      {
        database: primary({ applied: { members: [voter('b')], acknowledgements: 1 } }),
        proven: { epoch: 1, until: 14_000 },
        replicas,
      },
    );
    expect(first(state)).toBe('configure-sync');
    expect(first({ ...state, inFlight: { ...state.inFlight, dcs: 'sync' } })).toBe('wait: changing the sync set');
    const narrowing = { ...state, replicas: replicas.slice(0, 1) };
    expect(first(narrowing)).toBe('sync');
    expect(first({ ...narrowing, inFlight: { ...state.inFlight, database: 'configure-sync' } })).toBe(
      'wait: changing the sync set',
    );
  });
  test('counts nobody anew of whom etcd says nothing: it may be about to replace its data', () => {
    const counted = { members: [voter('c')], acknowledgements: 1 };
    const serving = (members: readonly Member[]): HaState =>
      of(
        'a',
        { sync: counted, members },
        {
          database: primary({ applied: counted }),
          proven: { epoch: 1, until: 14_000 },
          replicas: [voter('b'), voter('c')].map((each) => ({ voter: each, streaming: true })),
        },
      );
    expect(first(serving([member('a'), member('b')]))).toBe('sync');
    expect(first(serving([member('a')]))).toBe('wait: serving');
    expect(first(serving([member('a'), member('b', { state: 'diverged' })]))).toBe('wait: serving');
    // A connection of its former data: it would be left out again at once, and counted again.
    const renewed = member('b', { incarnation: 'v2', state: 'starting' });
    expect(first(serving([member('a'), renewed]))).toBe('wait: serving');
  });
  test('gives up when the promotion fails, so that another may try', () => {
    const failed = of('b', claimed, {
      database: sealedAt('0/200'),
      vow: 2,
      proven,
      backOff: new Map([['promote', 11_000]]),
    });
    expect(first(failed)).toBe('release');
  });
  test('does not change the sync set before it has looked at its replicas', () => {
    const state = of('a', {}, { database: primary(), proven: { epoch: 1, until: 14_000 } });
    expect(first(state)).toBe('wait: looking at the replicas');
    const promoted = step(
      { ...state, replicas: [], database: sealedAt('0/1') },
      { type: 'database', database: primary() },
      time,
    );
    expect(promoted.state.replicas).toBeUndefined();
  });
  test('gives leadership up when its database has ended', () => {
    expect(first(of('a', {}, { database: stopped }))).toBe('release');
    expect(written(of('a', {}, { database: stopped }), 'release')).toMatchObject({
      epoch: 1,
      reason: 'DatabaseExited',
    });
  });
  test('claims the next epoch itself when others have promised it', () => {
    const state = of(
      'a',
      { promises: { b: [2, at(1, '0/1')] } },
      { database: primary(), proven: { epoch: 1, until: 14_000 } },
    );
    expect(first(state)).toBe('reclaim');
    expect(written(state, 'history/0000000002')).toMatchObject({ timeline: 2, winner: 'a' });
  });
  test('also when its key has vanished', () => {
    expect(first(of('a', { leader: undefined }, { database: primary(), proven: { epoch: 1, until: 14_000 } }))).toBe(
      'reclaim',
    );
  });
  test('an agent that started anew revokes the lease of its former life', () => {
    expect(first(of('a', { lease: 'former' }, { database: stopped }))).toBe('revoke-lease');
  });
});

describe('planned hand-over', () => {
  const request = (over: object = {}): ViewParts => ({
    switchover: {
      value: { id: '1', from: 'a', reason: 'drain', deadline: '2026-01-01T00:01:00Z', ...over },
      modRevision: 40,
      lease: '0',
    },
  });
  const serving = { database: primary(), proven: { epoch: 1, until: 14_000 } };
  const fit = (...names: string[]) => names.map((name) => ({ voter: voter(name), streaming: true }));
  test('stops while enough successors are fit', () => {
    expect(first(of('a', request(), { ...serving, replicas: fit('b', 'c') }))).toBe('stop');
    expect(first(of('a', request({ to: 'c' }), { ...serving, replicas: fit('b', 'c') }))).toBe('stop');
  });
  test.each([
    ['nobody is fit', {}, []],
    ['too few are', {}, ['b']],
    ['the wanted one is not', { to: 'x' }, ['b', 'c']],
    ['it is too late', { deadline: '2025-12-31T00:00:00Z' }, ['b', 'c']],
    ['somebody else is primary by now', { from: 'b' }, ['b', 'c']],
  ])('refuses when %s, and goes on serving', (_, over, names) => {
    expect(first(of('a', request(over), { ...serving, replicas: fit(...names) }))).toBe('refuse-switchover');
  });
  test('without acknowledgements one fit replica is enough', () => {
    const async = { ...request(), sync: { acknowledgements: 0 } };
    expect(first(of('a', async, { ...serving, replicas: fit('b') }))).toBe('stop');
  });
  test('then releases in favour of the wanted one', () => {
    expect(written(of('a', request({ to: 'c' }), { database: stopped }), 'release')).toMatchObject({
      reason: 'Switchover',
      candidate: 'c',
    });
  });
  test('the end of the process is a hand-over too', () => {
    expect(first(of('a', {}, { ...serving, ending: true }))).toBe('stop');
    expect(first(of('a', {}, { database: stopped, ending: true }))).toBe('release');
    expect(first(of('a', { leader: undefined }, { database: stopped, ending: true }))).toBe('wait: ending');
  });
});

test('one that is being removed claims if nobody else may', () => {
  const wanted = { definition: { instances: ['a', 'b'] }, leader: undefined };
  const state = (parts: ViewParts): HaState =>
    of('c', { ...wanted, ...parts }, { database: sealedAt('0/200'), vow: 2 });
  expect(first(state({ promises: { b: [2, at(1, '0/100')], c: [2, at(1, '0/200')] } }))).toBe('claim');
  expect(first(state({ promises: { b: [2, at(1, '0/200')], c: [2, at(1, '0/200')] } }))).toBe(
    'wait: leaving the claim to b',
  );
});

describe('data that must be replaced', () => {
  const diverged = replica({ diverged: { epoch: 2, remedy: 'rewind' } });
  const led: ViewParts = {
    epoch: 2,
    leader: 'b',
    sync: { primary: voter('b'), members: [voter('c')] },
    members: [member('a', { state: 'diverged' }), member('b', { role: 'primary', state: 'running' })],
  };
  const retired = { epoch: 2, settled: true, at: 0, since: 0 };
  test('is rewound when nothing counts on it, after the vow', () => {
    expect(first(of('a', led, { database: diverged }))).toBe('write-vow');
    expect(first(of('a', led, { database: diverged, vow: 2 }))).toBe('retire');
    expect(
      first(of('a', led, { database: diverged, vow: 2, retired: { epoch: 2, settled: false, at: 0, since: 0 } })),
    ).toBe('retire');
    expect(
      first(of('a', led, { database: diverged, vow: 2, retired: { epoch: 1, settled: true, at: 0, since: 0 } })),
    ).toBe('retire');
    expect(first(of('a', led, { database: diverged, vow: 2, retired }))).toBe('rewind');
  });
  test('is undone before the start where a start would make it permanent', () => {
    const unstarted = { ...stopped, diverged: { epoch: 2, remedy: 'rewind' } } as const;
    expect(first(of('a', led, { database: unstarted }))).toBe('write-vow');
    expect(first(of('a', led, { database: unstarted, vow: 2 }))).toBe('retire');
    expect(first(of('a', led, { database: unstarted, vow: 2, retired }))).toBe('rewind');
    expect(first(of('a', led, { database: { ...unstarted, diverged: { epoch: 1, remedy: 'rewind' } } }))).toBe('start');
    expect(first(of('a', { ...led, leader: undefined }, { database: unstarted }))).toMatch(/^wait: its log left/);
  });
  test('what was told of former data does not count for those that took their place', () => {
    const told = of('a', led, { database: diverged, vow: 2, retired });
    expect(step(told, { type: 'incarnation', incarnation: 'v2' }, time).state.retired?.settled).not.toBe(true);
  });
  test('has been told before it is replaced, in a write that undoes a primary’s about to count it', () => {
    const { txn } = txnOf(of('a', led, { database: diverged, vow: 2 }));
    expect(txn.compare).toContainEqual({ key: 'sync', is: 'modRevision', modRevision: 20 });
    expect(txn.writes.map((w) => ('put' in w ? w.put : w.delete))).toEqual(['sync', 'members/a']);
    const primaryOfTwo = of(
      'b',
      { ...led, members: [member('a', { state: 'diverged' }), member('c')] },
      {
        database: primary({ epoch: 2, timeline: 2, applied: { members: [voter('c')], acknowledgements: 1 } }),
        proven: { epoch: 2, until: 14_000 },
        replicas: ['a', 'c'].map((name) => ({ voter: voter(name), streaming: true })),
        vow: 2,
      },
    );
    expect(first({ ...primaryOfTwo, view: { ...(primaryOfTwo.view ?? view()), history: new Map() } })).toBe(
      'wait: serving',
    );
  });
  test('once rewound, starts only from a primary, and takes no part in elections before', () => {
    const database = { ...stopped, needsPrimary: true } as DatabaseState;
    const { effects } = decide(of('a', led, { database, vow: 2 }));
    expect(effects).toMatchObject([{ type: 'start', from: { epoch: 2, primary: { instance: 'b' } } }]);
    expect(first(of('a', { ...led, leader: undefined }, { database, vow: 2 }))).toMatch(/^wait: rewound/);
  });
  test('is cloned when there is none, or it is broken, or the primary no longer has the WAL it needs', () => {
    expect(
      first(of('a', led, { database: replica({ diverged: { epoch: 2, remedy: 'clone' } }), vow: 2, retired })),
    ).toBe('clone');
    expect(first(of('a', led, { database: { status: 'absent' } }))).toBe('clone');
    expect(first(of('a', led, { database: { status: 'broken', reason: '' }, retired }))).toBe('clone');
    const inFlight = { database: 'rewind', dcs: undefined, disk: false } as const;
    expect(first(of('a', led, { database: { status: 'broken', reason: '' }, retired, inFlight }))).toBe(
      'wait: rewinding to b',
    );
  });
  test('is cloned from a replica of this epoch, else the primary, which is also asked when the replica failed', () => {
    const absent = { database: { status: 'absent' } } as const;
    const source = (...parts: Parameters<typeof of>): unknown => decide(of(...parts)).effects[0];
    const members = [member('a'), member('b', { state: 'running', role: 'primary' }), member('c')];
    const streaming = (epoch: number): Member => member('c', { position: { epoch, lsn: '0/1' } });
    const from = (c: Member, copies: HaState['copies'] = []): unknown =>
      source('a', { ...led, members: [...members.slice(0, 2), c] }, { ...absent, copies });
    expect(from(streaming(2))).toMatchObject({ source: { instance: 'c' }, mayDiscardOld: true });
    expect(from(streaming(2), [{ effect: 'clone', ok: false, at: 0, awaited: false }])).toMatchObject({
      source: { instance: 'b' },
      mayDiscardOld: true,
    });
    expect(from(streaming(1))).toMatchObject({ source: { instance: 'b' }, mayDiscardOld: false });
    expect(from({ ...streaming(2), failing: 'DiskFull' })).toMatchObject({ source: { instance: 'b' } });
    expect(from({ ...streaming(2), state: 'diverged' })).toMatchObject({ source: { instance: 'b' } });
    const delayed = { c: { priority: 0, noFailover: true, noSync: true, replayDelay: 60 } };
    expect(
      source('a', { ...led, members: [...members.slice(0, 2), streaming(2)], definition: { tags: delayed } }, absent),
    ).toMatchObject({ source: { instance: 'b' }, mayDiscardOld: false });
  });
  test('is copied again only after a pause, which grows, whether copies fail or only don’t help', () => {
    const others = [member('b', { role: 'primary', state: 'running' }), member('c')];
    const after = (ok: boolean, times: number, parts: ViewParts = {}): number => {
      let state = of('a', { ...led, members: others, ...parts }, { database: { status: 'absent' } });
      for (let n = 0; n < times; n++)
        state = step(state, { type: 'database-effect-ended', effect: 'clone', ok }, { now: state.now, wall: '' }).state;
      const pauses = [0, 5000, 10_000, 20_000, 300_000];
      const idle = { ...state, inFlight: { ...state.inFlight, database: undefined } };
      return pauses.find((pause) => first({ ...idle, now: state.now + Math.max(100, pause) }) === 'clone') ?? Infinity;
    };
    expect([1, 2, 3, 9].map((times) => after(false, times))).toEqual([5000, 10_000, 20_000, 300_000]);
    expect([1, 2, 3, 4].map((times) => after(true, times))).toEqual([0, 0, 5000, 10_000]);
    // Nobody acknowledges: clients wait for this copy.
    const alone: ViewParts = { sync: { ...led.sync, members: [] } };
    expect([1, 9].map((times) => after(false, times, alone))).toEqual([5000, 5000]);
    expect(after(true, 9, { members: others.slice(0, 1) })).toBe(5000);
    // They count for nothing when others acknowledge again.
    const calm = of('a', { ...led, members: others }, { database: { status: 'absent' } });
    const copy = { effect: 'clone', ok: false, at: 0 } as const;
    const often = Array.from({ length: 9 }, () => copy);
    const later = (awaited: boolean): string =>
      first({ ...calm, now: 6000, copies: often.map((each) => ({ ...each, awaited })) });
    expect([later(true), later(false)]).toEqual(['clone', 'wait: pausing before its data are replaced once more']);
    const tags = { a: { priority: 0, noFailover: true, noSync: true } };
    expect(after(false, 9, { ...alone, definition: { tags } })).toBe(300_000);
  });
  test.each([['absent'], ['broken'], ['replica']])('is never touched while it is in the sync set (%s)', (status) => {
    const database = status === 'replica' ? diverged : ({ status, reason: '' } as DatabaseState);
    const sync = { primary: voter('b'), members: [voter('c'), voter('a')] };
    const state = of('a', { ...led, sync }, { database, vow: 2 });
    expect(first(state)).toBe('wait: waiting to leave the sync set before the data is replaced');
  });
  test('another volume under the same name is not in the set', () => {
    const state = of(
      'a',
      { ...led, sync: { primary: voter('b'), members: [voter('a', 'old')] } },
      { database: { status: 'absent' } },
    );
    expect(first(state)).toBe('clone');
  });
  test('of another cluster stays, once it has served', () => {
    expect(first(of('a', led, { database: { ...stopped, systemIdentifier: '8' } }))).toMatch(/^wait: blocked/);
  });
});

describe('the beginning', () => {
  const empty = {
    ...view({ epoch: 0, leader: undefined }),
    initialize: undefined,
    sync: undefined,
    history: new Map(),
  };
  const state = (over: Partial<HaState>): HaState => ({ ...of('a', {}), view: empty, vow: 0, ...over });
  const bootstrap = { value: 'a', modRevision: 5, lease: 'lease-a' };
  test('one of those without data wins the right to make it', () => {
    expect(first(state({ database: { status: 'absent' } }))).toBe('bootstrap');
    expect(first(state({ database: { status: 'absent' }, view: { ...empty, bootstrap } }))).toBe('initialize');
    expect(
      first(state({ database: { status: 'absent' }, view: { ...empty, bootstrap: { ...bootstrap, value: 'b' } } })),
    ).toMatch(/^wait/);
    expect(first(state({ database: stopped, view: { ...empty, bootstrap } }))).toBe('initialize');
    expect(first(state({ database: stopped, view: empty }))).toBe('bootstrap');
    expect(txnOf(state({ database: stopped, view: { ...empty, bootstrap } })).purpose).toBe('initialize');
  });
  test('data that were not made here are nobody’s to give away or to replace', () => {
    const brought = { ...stopped, initializedHere: false };
    expect(first(state({ database: brought, view: { ...empty, bootstrap } }))).toMatch(/^wait: blocked: unknown data/);
    const joining = (database: DatabaseState): string => first(of('c', {}, { database, vow: 0 }));
    expect(joining({ ...stopped, systemIdentifier: '99' })).toMatch(/^wait: waiting to leave the sync set/);
    expect(joining({ ...brought, systemIdentifier: '99' })).toMatch(/^wait: blocked: the data .* another cluster/);
    expect(joining({ status: 'broken', reason: 'not complete' })).toMatch(/^wait: blocked: unknown data/);
  });
  test('data that has served is never the beginning of another cluster', () => {
    expect(first(state({ database: stopped, vow: 3, view: { ...empty, bootstrap } }))).toMatch(/^wait: blocked/);
    expect(first(state({ database: { status: 'absent' }, vow: 3, view: empty }))).toMatch(/^wait: blocked/);
  });
});

describe('a write of the sync set with unknown outcome (F4)', () => {
  const base = of(
    'a',
    {},
    { database: primary(), proven: { epoch: 1, until: 14_000 }, replicas: [{ voter: voter('b'), streaming: true }] },
  );
  const ended = (state: HaState, outcome: 'applied' | 'refused' | 'unknown'): HaState =>
    step(state, { type: 'txn-ended', purpose: 'sync', outcome }, { ...time, now: state.now }).state;
  const begun = (state: HaState): HaState => step(state, { type: 'tick' }, { ...time, now: state.now + 1000 }).state;

  test('is settled by rewriting the key before anything else changes', () => {
    // c doesn't stream, and the database is without it already.
    const narrowed = { ...base, database: primary({ applied: { members: [voter('b')], acknowledgements: 1 } }) };
    const writing = begun(narrowed);
    expect(writing.inFlight.dcs).toBe('sync');
    const unknown = { ...ended(writing, 'unknown'), backOff: new Map() };
    expect(unknown.syncUnsettled).toEqual([{ members: [voter('b')], acknowledgements: 1 }]);
    expect(written({ ...unknown, inFlight: { ...unknown.inFlight, dcs: undefined } }, 'sync')).toEqual(
      view().sync?.value,
    );
    const back = [voter('b'), voter('c')].map((v) => ({ voter: v, streaming: true }));
    const again = begun({ ...unknown, replicas: back, inFlight: { ...unknown.inFlight, dcs: undefined } });
    expect(ended(again, 'refused').syncUnsettled).toHaveLength(1);
    expect(ended(again, 'applied').syncUnsettled).toEqual([]);
  });
});

test('an older view does not undo a newer one', () => {
  const state = of('b', {});
  const older = { ...view({ leader: undefined }), revision: 99 };
  expect(step(state, { type: 'view', view: older }, time).state.view).toBe(state.view);
});
