import { describe, expect, test } from '@jest/globals';
import { mayPledge, serveUntil, wordUntil } from './proof.ts';
import type { HaState, Pledge } from './state.ts';
import { step } from './step.ts';
import { at, first, of, primary, replica, sealedAt, time, view, voter } from './testing.ts';

const pledge = (instance: string, until: number, over: Partial<Pledge> = {}): [string, Pledge] => [
  instance,
  { voter: voter(instance), epoch: 1, until, ...over },
];
const lapsed = { epoch: 1, until: 9_000 };
const serving = (pledges: readonly [string, Pledge][], over: Partial<HaState> = {}): HaState =>
  of('a', {}, { database: primary(), proven: lapsed, replicas: [], pledges: new Map(pledges), ...over });

describe('an outage of etcd (rule 9)', () => {
  test('k members that have given their word keep a primary serving, and it changes nothing', () => {
    expect(first(serving([pledge('b', 12_000)]))).toMatch(/^wait: etcd is silent/);
  });
  test.each([
    ['whose word has lapsed', pledge('b', 10_000)],
    ['that is no member', pledge('d', 12_000)],
    ['of another incarnation', pledge('b', 12_000, { voter: voter('b', 'v2') })],
    ['that speaks of another epoch', pledge('b', 12_000, { epoch: 2 })],
  ])('not one %s', (_, given) => expect(first(serving([given]))).toBe('kill'));

  test('as many as must acknowledge', () => {
    const two = { sync: { members: [voter('b'), voter('c'), voter('d')], acknowledgements: 2 } };
    const state = serving([pledge('b', 13_000), pledge('c', 12_000)]);
    expect(serveUntil({ ...state, view: view(two) })).toBe(12_000);
    expect(serveUntil({ ...state, view: view(two), pledges: new Map([pledge('b', 13_000)]) })).toBe(9_000);
  });
  test('goes on after this primary’s own next claim, when etcd is back, until that is proven', () => {
    const claimed = (reason: string): HaState['view'] =>
      view({ epoch: 2, history: [{ epoch: 2, winner: 'a', reason, timeline: 2, lineage: [], at: '' }] });
    const state = serving([pledge('b', 12_000)]);
    expect(first({ ...state, view: claimed('PrimaryAlive') })).toMatch(/^wait: etcd is silent/);
    expect(first({ ...state, view: claimed('LeaseExpired') })).toBe('kill');
    expect(
      first({ ...state, view: claimed('PrimaryAlive'), pledges: new Map([pledge('b', 12_000, { epoch: 0 })]) }),
    ).toBe('kill');
  });
  test('of each sync set that an unsettled write may have made', () => {
    const pending = { syncUnsettled: [{ members: [voter('c')], acknowledgements: 1 }] };
    expect(first(serving([pledge('b', 12_000)], pending))).toBe('kill');
    expect(first(serving([pledge('b', 12_000), pledge('c', 12_000)], pending))).toMatch(/^wait: etcd is silent/);
  });
  test('never where nobody has to acknowledge (F5)', () => {
    const alone = { view: view({ sync: { acknowledgements: 0 } }) };
    expect(first(serving([pledge('b', 12_000)], alone))).toBe('kill');
  });
  test('a pledge counts from when the primary asked', () => {
    const { state } = step(
      serving([]),
      { type: 'pledge-received', voter: voter('b'), epoch: 1, askedAt: time.now - 100 },
      time,
    );
    expect(serveUntil(state)).toBe(time.now - 100 + state.settings.pledge - state.settings.margin);
  });
});

describe('a replica’s word', () => {
  const following = { epoch: 1, instance: 'a', address: '10.0.0.1' };
  const silent = { database: replica({ following }), dcsHeardAt: time.now - 2000, vow: 1 };
  test('is given while etcd is silent', () => expect(mayPledge(of('b', {}, silent))).toBe(1));
  test.each([
    ['etcd answers', { dcsHeardAt: time.now - 100 }],
    ['it has vowed otherwise', { vow: 2 }],
    ['a vow is being written', { inFlight: { database: undefined, dcs: undefined, disk: true } }],
    ['it is sealed', { database: sealedAt('0/100') }],
    ['it follows nobody', { database: replica() }],
  ] as const)('is not given when %s', (_, over) =>
    expect(mayPledge(of('b', {}, { ...silent, ...over }))).toBeUndefined(),
  );

  const pledged = step(of('b', {}, silent), { type: 'pledged', epoch: 1 }, time).state;
  const lost = { ...pledged, view: view({ leader: undefined }), database: sealedAt('0/100') };
  test('is kept', () => {
    expect(first(lost)).toMatch(/^wait: its word/);
    expect(first({ ...lost, now: time.now + pledged.settings.pledge })).toBe('write-vow');
  });
  test('is kept by one that has restarted and cannot know what it said', () =>
    expect(first(of('b', { leader: undefined }, { database: sealedAt('0/100'), startedAt: time.now }))).toMatch(
      /^wait: its word/,
    ));
  test('binds nobody whose former life had given none', () => {
    const restarted = { database: sealedAt('0/100'), startedAt: time.now, mayHavePledged: false };
    expect(first(of('b', { leader: undefined }, restarted))).toBe('write-vow');
  });
  test('binds no longer once the primary has ended: released, or sealed itself', () => {
    const release = { epoch: 1, instance: 'a', reason: 'DatabaseExited' };
    expect(wordUntil({ ...lost, view: view({ leader: undefined, release }) })).toBe(0);
    expect(wordUntil({ ...lost, view: view({ leader: undefined, promises: { a: [2, at(1, '0/100')] } }) })).toBe(0);
    expect(
      wordUntil({ ...lost, view: view({ leader: undefined, promises: { a: [2, at(1, '0/1'), 'old'] } }) }),
    ).not.toBe(0);
  });
});
