import { describe, expect, test } from '@jest/globals';
import type { Member } from '../api/cluster-state.ts';
import type { HaState, Health } from './state.ts';
import { step } from './step.ts';
import { bestCandidate, hasSuccessor } from './successor.ts';
import {
  at,
  definition,
  first,
  member,
  of,
  primary,
  sealedAt,
  stopped,
  time,
  view,
  voter,
  written,
  type ViewParts,
} from './testing.ts';

const same = at(1, '0/100');
const proven = { epoch: 1, until: 14_000 };

describe('of those who may claim, the best is', () => {
  const all: ViewParts = { leader: undefined, promises: { b: [2, same], c: [2, same] } };
  const tagged = (tags: Record<string, { priority?: number; noFailover?: boolean }>): ViewParts => ({
    ...all,
    definition: {
      tags: Object.fromEntries(
        Object.entries(tags).map(([name, tag]) => [name, { priority: 0, noFailover: false, noSync: false, ...tag }]),
      ),
    },
  });
  test('the first by name, all else being equal', () => expect(bestCandidate(view(all))).toBe('b'));
  test('the one of higher priority', () => expect(bestCandidate(view(tagged({ c: { priority: 1 } })))).toBe('c'));
  test('never one tagged noFailover, whose promise counts all the same', () => {
    expect(bestCandidate(view(tagged({ b: { priority: 9, noFailover: true } })))).toBe('c');
    const state = of('b', tagged({ b: { noFailover: true } }), {
      database: sealedAt('0/100'),
      vow: 2,
      quorumSince: { epoch: 1, at: 0 },
    });
    expect(first(state)).toBe('wait: may not claim: tagged noFailover');
  });
  test('the one who has less to replay, before priority', () => {
    const slow = view(tagged({ b: { priority: 1 } }));
    const promises = new Map(slow.promises);
    const b = promises.get('b');
    if (b) promises.set('b', { ...b, value: { ...b.value, backlog: 500_000_000 } });
    expect(bestCandidate({ ...slow, promises })).toBe('c');
  });
  test('not one that fails itself', () => {
    const members = [member('b', { failing: 'DiskFull' }), member('c')];
    expect(bestCandidate(view({ ...all, members }))).toBe('c');
  });
  test('where nothing had to be acknowledged, the longest log before all else', () => {
    const lossy = {
      ...tagged({ b: { priority: 1 } }),
      sync: { acknowledgements: 0 },
      promises: { b: [2, same], c: [2, at(1, '0/200')] },
    } as const;
    const parts = {
      ...lossy,
      definition: { ...lossy.definition, durability: { mode: 'Async', acknowledgements: 1 } },
    } as const;
    expect(bestCandidate(view(parts))).toBe('c');
  });
});

describe('a database that hangs (rule 10)', () => {
  const health: Health = { status: 'failing', reason: 'DatabaseHung', since: 5000, detail: 'no answer for 5 s' };
  const hung = (parts: ViewParts = {}, now = time.now): ReturnType<typeof of> =>
    of('a', parts, { database: primary(), proven: { ...proven, until: now + 4000 }, health, replicas: [], now });
  test('is killed where others could elect a successor, and released with the reason', () => {
    expect(first(hung())).toBe('kill');
    const givingUp = { epoch: 1, reason: 'DatabaseHung' };
    expect(written(of('a', {}, { database: stopped, givingUp }), 'release')).toMatchObject({ reason: 'DatabaseHung' });
  });
  test('is given up while becoming primary as well', () => {
    const state = of('a', {}, { database: sealedAt('0/100'), proven, health });
    expect(first({ ...state, inFlight: { database: 'promote', dcs: undefined, disk: false } })).toBe('kill');
  });
  test('claims nothing more while it is being killed, whatever its health is said to be', () => {
    const members = [member('b', { vow: 2 }), member('c')];
    const inFlight = { database: 'kill', dcs: undefined, disk: false } as const;
    expect(first(of('a', { members }, { database: primary(), proven, inFlight }))).toMatch(/^wait: waiting for every/);
  });
  test.each([
    ['too few members live', { members: [member('a'), member('b')] }],
    ['a member is failing itself', { members: [member('b', { failing: 'DiskFull' }), member('c')] }],
    ['the living have other data', { members: [member('b', { incarnation: 'v2' }), member('c')] }],
    [
      'nobody may lead',
      {
        definition: {
          tags: Object.fromEntries(['b', 'c'].map((name) => [name, { priority: 0, noFailover: true, noSync: false }])),
        },
      },
    ],
  ] as readonly [string, ViewParts][])('stays when %s, and is restarted later', (_, parts) => {
    expect(hasSuccessor(view(parts), 'a')).toBe(false);
    expect(first(hung(parts))).toMatch(/^wait: failing/);
    expect(first(hung(parts, 5000 + 31_000))).toBe('kill');
  });
});

describe('a database that has crashed', () => {
  const crashed = { ...stopped, recovery: 400 };
  const behind = (instance: string): Member => member(instance, { position: at(1, '1/0'), backlog: 4e9 }); // 4 GB to replay
  const slowOthers: ViewParts = { members: [behind('b'), behind('c')] };
  test('says when it would be back, where the others have more to replay', () => {
    const state = (parts: ViewParts): HaState => of('a', parts, { database: crashed, crashes: [time.now] });
    expect(written(state(slowOthers), 'release')).toMatchObject({ restart: 400 });
    expect(written(state({}), 'release')).not.toHaveProperty('restart', 400);
  });
  test('and not the second time within the window', () => {
    const crash = (state: HaState, now: number): HaState =>
      step({ ...state, database: primary() }, { type: 'database', database: crashed }, { ...time, now }).state;
    const once = crash(of('a', slowOthers), time.now);
    const twice = crash(once, time.now + 60_000);
    expect(once.crashes).toHaveLength(1);
    expect(written({ ...twice, inFlight: { ...twice.inFlight, dcs: undefined } }, 'release')).not.toHaveProperty(
      'restart',
      400,
    );
    expect(crash(twice, time.now + 3_600_000).crashes).toHaveLength(1);
  });
  const release = { epoch: 1, instance: 'a', reason: 'DatabaseExited', restart: 400 };
  const slow = (over: object = {}): ReturnType<typeof of> =>
    of(
      'b',
      { leader: undefined, release, promises: { b: [2, same], c: [2, same] }, members: [member('b'), member('c')] },
      {
        database: { ...sealedAt('0/100'), backlog: 900_000_000 } as never,
        vow: 2,
        quorumSince: { epoch: 1, at: time.now - 1000 },
        ...over,
      },
    );
  test('is waited for by a replica that has much to replay, for a while', () => {
    const view = slow().view;
    const promises = new Map(view?.promises);
    for (const [name, promise] of promises)
      promises.set(name, { ...promise, value: { ...promise.value, backlog: 900_000_000 } });
    const state = { ...slow(), view: view && { ...view, promises } };
    expect(first(state)).toMatch(/^wait: leaving the claim to a/);
    expect(first({ ...state, quorumSince: { epoch: 1, at: time.now - 2000 } })).toBe('claim');
  });
  test('is not waited for by one that has nothing to replay', () =>
    expect(first({ ...slow(), database: sealedAt('0/100') })).toBe('claim'));
});

describe('a failover that a person asks for', () => {
  const request = (over: object = {}): ViewParts['failover'] => ({
    value: {
      id: 'r1',
      to: 'b',
      acceptDataLoss: false,
      fenced: false,
      reason: 'the data centre is gone',
      deadline: '2027-01-01T00:00:00Z',
      ...over,
    },
    modRevision: 50,
    lease: '0',
  });
  const accepted = { acceptDataLoss: true, fenced: true };
  const alone = (failover: ViewParts['failover'], leader?: string): ReturnType<typeof of> =>
    of(
      'b',
      { leader, failover, promises: { b: [2, same] }, members: [member('b')] },
      {
        database: sealedAt('0/100'),
        vow: 2,
        lostPrimaryOf: 1,
        lastPositions: new Map([['a', at(1, '0/180')]]),
      },
    );
  test('is refused with what is at risk', () => {
    const state = alone(request());
    expect(first(state)).toBe('refuse-failover');
    expect(written(state, 'answer')).toMatchObject({
      id: 'r1',
      outcome: 'refused',
      reason: expect.stringContaining('128 bytes'),
    });
    expect(written(state, 'answer')).toMatchObject({ reason: expect.stringContaining('a, c') });
  });
  test('is done once the loss is accepted, and kept in history', () => {
    const state = alone(request(accepted));
    expect(first(state)).toBe('claim');
    expect(written(state, 'history/0000000002')).toMatchObject({
      reason: 'Forced',
      forced: { request: 'r1', missing: ['a', 'c'] },
    });
    expect(written(state, 'sync')).toMatchObject({ members: [voter('c'), voter('a')] });
  });
  test('waits for the lease of the former primary', () =>
    expect(first(alone(request(accepted), 'a'))).toMatch(/^wait: waiting until the lease/));
  test('is refused while those who are missing may be serving together, unless they are said to be off', () => {
    const state = alone(request({ acceptDataLoss: true }));
    expect(written(state, 'answer')).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('switch them off'),
    });
  });
  test('needs no such word where too few are missing to let the primary serve', () => {
    const two = { sync: { members: [voter('b'), voter('c')], acknowledgements: 2 } };
    const state = alone(request({ acceptDataLoss: true }));
    expect(first({ ...state, view: state.view && { ...state.view, sync: view(two).sync } })).toBe('claim');
  });
  test('is done by the one that is named, tagged or not', () => {
    const tags = { b: { priority: 0, noFailover: true, noSync: false } };
    const both = { b: [2, same], c: [2, same] } as const;
    const parts = { leader: undefined, failover: request(), definition: { tags }, promises: both };
    expect(first(of('b', parts, { database: sealedAt('0/100'), vow: 2, quorumSince: { epoch: 1, at: 0 } }))).toBe(
      'claim',
    );
  });
  test('is void after its deadline', () =>
    expect(first(alone(request({ acceptDataLoss: true, deadline: '2025-01-01T00:00:00Z' })))).toBe('refuse-failover'));
  test('is not for a cluster that has a primary', () => {
    const replicas = [voter('b'), voter('c')].map((v) => ({ voter: v, streaming: true }));
    expect(first(of('a', { failover: request() }, { database: primary(), proven, replicas }))).toBe('refuse-failover');
  });
  test('needs no force where the claim is safe', () => {
    const state = of(
      'b',
      { leader: undefined, failover: request(), promises: { b: [2, same], c: [2, same] } },
      { database: sealedAt('0/100'), vow: 2, quorumSince: { epoch: 1, at: 0 } },
    );
    expect(written(state, 'history/0000000002')).not.toMatchObject({ reason: 'Forced' });
    expect(written(state, 'answer')).toMatchObject({ outcome: 'done' });
  });
});

test('a member that has vowed the next epoch is reason enough to claim it, promise or not', () => {
  const replicas = [voter('b'), voter('c')].map((v) => ({ voter: v, streaming: true }));
  const members = [member('a'), member('b', { vow: 2 }), member('c')];
  expect(first(of('a', { members }, { database: primary(), proven, replicas }))).toBe('reclaim');
  // Of an epoch beyond the next one, it is etcd that is wrong.
  const ahead = [member('a'), member('b', { vow: 9 }), member('c')];
  expect(first(of('a', { members: ahead }, { database: primary(), proven, replicas }))).toBe('wait: serving');
});

test('starts count as hopeless only under a primary that serves, over minutes, and not after a clone', () => {
  const failing = (state: HaState, effect: 'start' | 'clone'): HaState =>
    step(state, { type: 'database-effect-ended', effect, ok: false }, time).state;
  const running = [member('b', { role: 'primary', state: 'running' }), member('a')];
  const once = failing(of('a', { leader: 'b', members: running }, { database: stopped }), 'start');
  expect(failing(once, 'start').startFailures).toEqual({ count: 2, since: time.now });
  expect(failing(once, 'clone').startFailures).toBeUndefined();
  expect(failing({ ...once, view: view({ leader: undefined }) }, 'start').startFailures).toBeUndefined();
});

test('data that cannot be started is replaced, but only outside the sync set', () => {
  const startFailures = { count: 5, since: time.now - 300_000 };
  const members = [member('b', { role: 'primary', state: 'running' }), member('a')];
  const parts = {
    leader: 'b',
    members,
    sync: { primary: voter('b'), members: [voter('c')] },
    definition: { ...definition },
  };
  expect(first(of('a', parts, { database: stopped, startFailures }))).toBe('retire');
  expect(
    first(
      of('a', { ...parts, sync: { primary: voter('b'), members: [voter('a')] } }, { database: stopped, startFailures }),
    ),
  ).toMatch(/^wait: waiting to leave the sync set/);
});

describe('a former primary that others can replace', () => {
  const released = { epoch: 1, at: time.now - 200 };
  const release = { epoch: 1, instance: 'a', reason: 'DatabaseExited' };
  const members = [member('a', { state: 'stopped' }), member('b'), member('c')];
  const state = (parts: ViewParts, over: Partial<HaState> = {}): HaState =>
    of('a', { leader: undefined, release, members, ...parts }, { database: stopped, released, ...over });
  test('leaves them the machine for a moment', () => {
    expect(first(state({}))).toMatch(/^wait: leaving the election/);
    expect(first(state({}, { now: time.now + 1000 }))).toBe('start');
  });
  test('until one of them serves', () => {
    const led = { epoch: 2, leader: 'b', release: undefined };
    const promoting = [member('a'), member('b', { role: 'primary', state: 'promoting' }), member('c')];
    const running = [member('a'), member('b', { role: 'primary', state: 'running' }), member('c')];
    expect(first(state({ ...led, members: promoting }))).toMatch(/^wait: b is becoming primary/);
    expect(first(state({ ...led, members: running }))).toBe('start');
  });
  test('not where it is needed, or will be back sooner', () => {
    expect(first(state({ members: [member('b')] }))).toBe('start');
    expect(first(state({ release: { ...release, restart: 300 } }))).toBe('start');
  });
});
