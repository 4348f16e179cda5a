import { describe, expect, test } from '@jest/globals';
import type { HaState } from './state.ts';
import { answersAsLeader } from './proof.ts';
import {
  first,
  member,
  of,
  primary,
  replica,
  stopped,
  time,
  txnOf,
  voter,
  written,
  type ViewParts,
} from './testing.ts';
import type { ClusterView } from './view.ts';

const request = { id: 'u1', from: 'a', to: '18', transfer: 'Copy', deadline: '2026-01-01T01:00:00Z' } as const;
const asked: ViewParts = { upgrade: { value: request, modRevision: 50, lease: '0' } };
const streaming = ['b', 'c'].map((name) => ({ voter: voter(name), streaming: true }));
const serving = { proven: { epoch: 1, until: time.now + 4000 }, dcsHeardAt: time.now - 400, replicas: streaming };
const a = (over: Partial<HaState>, parts: ViewParts = asked): HaState => of('a', parts, { ...serving, ...over });
const checked = (outcome: 'running' | 'passed' | 'refused', reason?: string) =>
  primary({ upgradeCheck: { request: 'u1', outcome, ...(reason !== undefined && { reason }) } });
const clean = { ...stopped, clean: true } as const;
const upgraded = { ...stopped, upgraded: { request: 'u1', version: '18', systemIdentifier: '8' } };
const changedOver = (parts: ViewParts = {}): ClusterView => {
  const { view } = of('a', { ...parts, sync: { members: [] } });
  if (!view?.initialize) throw new Error('no view');
  return { ...view, initialize: { ...view.initialize, systemIdentifier: '8', outgrown: ['7'] } };
};

describe('while it serves', () => {
  test.each<[string, HaState, string]>([
    ['it checks first', a({ database: primary() }), 'check-upgrade'],
    ['it serves on while it checks', a({ database: checked('running') }), 'wait: serving'],
    ['it stops when the check is passed', a({ database: checked('passed') }), 'stop'],
    [
      'a check for another request says nothing',
      a({ database: primary({ upgradeCheck: { request: 'u0', outcome: 'passed' } }) }),
      'check-upgrade',
    ],
    ['it refuses with the check', a({ database: checked('refused', 'no room') }), 'refuse-upgrade'],
    ['it refuses what is late', a({ database: primary(), wall: '2026-01-01T02:00:00Z' }), 'refuse-upgrade'],
    [
      'it refuses for another',
      of('b', { ...asked, leader: 'b', sync: { primary: voter('b') } }, { ...serving, database: primary() }),
      'refuse-upgrade',
    ],
    ['it waits for replicas that could go on', a({ database: checked('passed'), replicas: [] }), 'wait: serving'],
    ['nobody asks', a({ database: checked('passed') }, {}), 'wait: serving'],
  ])('%s', (_, state, expected) => expect(first(state)).toBe(expected));

  test('the refusal says why', () => {
    expect(written(a({ database: checked('refused', 'no room') }), 'answer')).toMatchObject({
      id: 'u1',
      outcome: 'refused',
      reason: 'no room',
    });
  });
});

describe('while it is stopped', () => {
  test.each<[string, HaState, string]>([
    ['it makes the new data', a({ database: clean }), 'upgrade'],
    ['not after a crash', a({ database: stopped }), 'refuse-upgrade'],
    [
      'it refuses when it can’t',
      a({ database: { ...clean, upgradeRefusal: { request: 'u1', reason: 'no' } } }),
      'refuse-upgrade',
    ],
    ['it changes over when they are complete', a({ database: upgraded }), 'upgrade'],
    ['it gives leadership up when nobody asks any more', a({ database: upgraded }, {}), 'release'],
    ['it gives leadership up when it ends', a({ database: clean, ending: true }), 'release'],
  ])('%s', (_, state, expected) => expect(first(state)).toBe(expected));

  test('its replicas are told that it is there', () => {
    expect(answersAsLeader(a({ database: clean }))).toBe(true);
    expect(answersAsLeader(a({ database: clean }, {}))).toBe(false);
  });

  test.each<[string, HaState]>([
    ['the request is gone', a({ database: clean }, {})],
    ['it does not lead any more', a({ database: clean }, { ...asked, leader: 'b', epoch: 2 })],
  ])('what is under way is killed when %s', (_, state) => {
    const under = { ...state, inFlight: { database: 'upgrade', dcs: undefined, disk: false } } as const;
    expect(first(under)).toBe('kill');
  });
});

describe('the change-over', () => {
  const { txn } = txnOf(a({ database: upgraded }));

  test('holds only if nothing has changed, least of all the request', () => {
    expect(txn.compare).toEqual(
      expect.arrayContaining([
        { key: 'epoch', is: 'value', value: '1' },
        { key: 'leader', is: 'modRevision', modRevision: 10 },
        { key: 'sync', is: 'modRevision', modRevision: 20 },
        { key: 'requests/upgrade', is: 'modRevision', modRevision: 50 },
      ]),
    );
  });

  test('begins an epoch with new data, which nobody else holds', () => {
    const state = a({ database: upgraded });
    expect(written(state, 'initialize')).toMatchObject({ systemIdentifier: '8', version: '18', outgrown: ['7'] });
    expect(written(state, 'sync')).toEqual({ epoch: 2, primary: voter('a'), members: [], acknowledgements: 1 });
    expect(written(state, 'history/0000000002')).toMatchObject({ reason: 'Upgraded', winner: 'a', timeline: 3 });
  });

  test('what was not known to be applied is found out by looking: its data are taken, the others’ replaced', () => {
    expect(first({ ...a({ database: upgraded }), view: changedOver() })).toBe('take-upgraded');
    const restarted = of('a', { leader: undefined }, { database: upgraded, view: changedOver({ leader: undefined }) });
    expect(first(restarted)).toBe('take-upgraded');
    const parts = { members: [member('a', { role: 'primary', state: 'running' }), member('b')] };
    const follower = of('b', parts, { view: changedOver(parts) });
    expect(first({ ...follower, database: replica() })).toBe('retire');
    expect(first({ ...follower, database: stopped })).toBe('retire');
  });

  test('data of another cluster are not touched', () => {
    const parts = { members: [member('a', { role: 'primary', state: 'running' }), member('b')] };
    const foreign = of('b', parts, { view: changedOver(parts), database: { ...stopped, systemIdentifier: '99' } });
    expect(first(foreign)).toMatch(/belongs to another cluster/);
  });
});
