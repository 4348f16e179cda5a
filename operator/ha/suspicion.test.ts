import { describe, expect, test } from '@jest/globals';
import type { HaState } from './state.ts';
import { step } from './step.ts';
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
  view,
  voter,
  type ViewParts,
} from './testing.ts';

const two: ViewParts = {
  sync: { members: [voter('b')] },
  members: [member('a', { role: 'primary', state: 'running' }), member('b')],
};
const streaming = { database: replica({ following: { epoch: 1, instance: 'a', address: '10.0.0.1' } }), vow: 1 };

describe('an alarm where one promise is a quorum (F16)', () => {
  /** `b` has lost epoch `epoch`'s primary since `lostFor` ms, after false alarms `ago` ms before. */
  const alarmed = (ago: readonly number[], lostFor: number): HaState =>
    of('b', two, {
      ...streaming,
      lostPrimaryOf: 1,
      lostSince: time.now - lostFor,
      falseAlarms: ago.map((ms) => time.now - ms),
    });
  test('is believed at once', () => expect(first(alarmed([], 0))).toBe('seal'));
  test('after a false one only once it has lasted, and longer after each', () => {
    expect(first(alarmed([5000], 1000))).toBe('wait: following a');
    expect(first(alarmed([5000], 1500))).toBe('seal');
    expect(first(alarmed([9000, 5000], 2000))).toBe('wait: following a');
    expect(first(alarmed([9000, 5000], 3000))).toBe('seal');
  });
  test('false ones of long ago don’t count', () => expect(first(alarmed([130_000], 0))).toBe('seal'));
  test('was false when the lost primary claims the epoch that was vowed', () => {
    const vowed = of('b', two, { ...streaming, vow: 2, lostPrimaryOf: 1 });
    const claimedBy = (reason: string): HaState =>
      step(
        vowed,
        {
          type: 'view',
          view: view({ ...two, epoch: 2, history: [{ epoch: 2, winner: 'a', reason, timeline: 2, at: '' }] }),
        },
        time,
      ).state;
    expect(claimedBy('PrimaryAlive').falseAlarms).toEqual([time.now]);
    expect(claimedBy('LeaseExpired').falseAlarms).toEqual([]);
  });
});

describe('a living primary that is voted out for the second time', () => {
  const lost = { lostPrimaryOf: 1, state: 'waiting' } as const;
  const votedOut = (over: ViewParts, followedIn?: number): HaState =>
    of(
      'a',
      {
        history: [{ epoch: 1, winner: 'a', reason: 'PrimaryAlive', timeline: 1, at: '' }],
        members: [member('a', { role: 'primary' }), member('b', lost), member('c', lost)],
        promises: { b: [2, at(1, '0/1')] },
        ...over,
      },
      { database: primary(), proven: { epoch: 1, until: time.now + 4000 }, vow: 1, followedIn },
    );
  test('leaves the claim to those who can’t reach it, though one alone has promised yet', () =>
    expect(first(votedOut({}))).toMatch(/^wait: out of reach/));
  test('claims again where one of them heard it meanwhile', () => {
    expect(first(votedOut({ members: [member('a'), member('b', lost), member('c')] }))).toBe('reclaim');
  });
  test('and where they have followed it since', () => expect(first(votedOut({}, 1))).toBe('reclaim'));
  test('and where one alone is a quorum: it would see the other no better', () => {
    expect(first(votedOut({ sync: { members: [voter('b')] } }))).toBe('reclaim');
  });
  test('and for the first time', () => expect(first(votedOut({ history: [] }))).toBe('reclaim'));
  test('to be followed is to be told so by as many as must acknowledge, in this epoch', () => {
    const follows = (vow: number): HaState =>
      step(votedOut({}), { type: 'view', view: view({ members: [member('b', { state: 'streaming', vow })] }) }, time)
        .state;
    expect(follows(1).followedIn).toBe(1);
    expect(follows(0).followedIn).toBeUndefined();
  });
});

test('a start that waits for a primary that is gone is ended', () => {
  const inFlight = { database: 'start', dcs: undefined, disk: false } as const;
  const starting = { database: { ...stopped, needsPrimary: true }, inFlight, startingFrom: 1, vow: 1 };
  expect(first(of('b', { epoch: 2, leader: 'c' }, starting))).toBe('kill');
  expect(first(of('b', {}, starting))).toMatch(/^wait/);
});

describe('an instance tagged noFailover', () => {
  const tags = { b: { priority: 0, noFailover: true, noSync: false } };
  test('leaves the founding of the cluster to others, if there are any', () => {
    const empty = (instances: readonly string[]): HaState => {
      const state = of(
        'b',
        { epoch: 0, leader: undefined, definition: { tags, instances } },
        { database: { status: 'absent' }, vow: 0 },
      );
      return { ...state, view: state.view && { ...state.view, initialize: undefined, sync: undefined } };
    };
    expect(first(empty(['a', 'b']))).toMatch(/^wait: tagged noFailover/);
    expect(first(empty(['b']))).toBe('bootstrap');
  });
  test('leads again where it alone holds all that was acknowledged', () => {
    const parts: ViewParts = {
      leader: undefined,
      definition: { tags },
      sync: { primary: voter('b'), members: [], acknowledgements: 0 },
      promises: { b: [2, at(1, '0/100')] },
      members: [member('b')],
    };
    expect(first(of('b', parts, { database: sealedAt('0/100'), vow: 2, quorumSince: { epoch: 1, at: 0 } }))).toBe(
      'claim',
    );
  });
});
