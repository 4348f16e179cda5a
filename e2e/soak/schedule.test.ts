import { describe, expect, test } from '@jest/globals';
import type { EngineName } from '../../operator/api/cluster-state.ts';
import { createRandom } from '../../operator/simulation/random.ts';
import { faultKinds, faultNames, type FaultName, type Place } from './fault-kinds.ts';
import { drawnSchedule, isSlot, promised, stepsOf, wordsOf, type Fault, type Round } from './schedule.ts';

function rounds(seed: number, count: number, engine: EngineName = 'postgres', among = faultNames): readonly Round[] {
  const schedule = drawnSchedule(createRandom(seed), engine, among);
  return Array.from({ length: count }, () => schedule.next().value);
}

const many = rounds(1, 2_000);
const kindsIn = ({ faults }: Round) => faults.map(({ name }) => faultKinds[name]);
const fault = (name: FaultName, place: Place): Fault => ({ name, place, beginsMs: 0, endsMs: 0, seed: 0 });

describe('a schedule', () => {
  test('comes from its seed alone', () => {
    expect(rounds(7, 50)).toEqual(rounds(7, 50));
    expect(rounds(7, 50)).not.toEqual(rounds(8, 50));
  });

  test('has every kind, and each that can hit an instance hits the primary and replicas', () => {
    expect(new Set(many.flatMap(({ faults }) => faults.map(({ name }) => name)))).toEqual(new Set(faultNames));
    const wanted = faultNames
      .filter((name) => ['instance', 'node'].includes(faultKinds[name].hits))
      .flatMap((name) => [`${name} (primary)`, `${name} (replica)`]);
    const had = new Set(many.flatMap(({ faults }) => faults.map(wordsOf)));
    expect(wanted.filter((one) => !had.has(one))).toEqual([]);
  });

  test('mostly overlaps: each fault begins before the one before it is over, or within seconds of it', () => {
    expect(many.filter(({ faults }) => faults.length > 1).length).toBeGreaterThan(many.length / 2);
    for (const { faults } of many) {
      for (const [index, { beginsMs }] of faults.entries()) {
        const previous = faults[index - 1];
        if (previous) expect(beginsMs).toBeLessThanOrEqual(Math.max(previous.endsMs, previous.beginsMs + 3_000));
      }
    }
  });

  test('hits nothing twice in a round', () => {
    for (const { faults } of many) expect(new Set(faults.map(({ place }) => place)).size).toBe(faults.length);
  });

  test('destroys the data of one replica at most, never that of the primary', () => {
    for (const round of many) {
      const destroyed = round.faults.filter(({ name }) => faultKinds[name].destroys);
      expect(destroyed.length).toBeLessThanOrEqual(1);
      expect(destroyed.filter(({ place }) => place === 'primary')).toEqual([]);
    }
  });

  test('leaves a node to the client', () => {
    for (const round of many) expect(kindsIn(round).filter(({ hits }) => hits === 'node').length).toBeLessThan(3);
  });

  test('takes the API server away only beside what needs none', () => {
    const without = many.filter(({ faults }) => faults.some(({ place }) => place === 'API server'));
    expect(without.length).toBeGreaterThan(20);
    for (const round of without) expect(kindsIn(round).filter(({ needsApi }) => needsApi)).toEqual([]);
  });

  test('lasts within a minute, and ends all that it has begun', () => {
    for (const round of many) {
      const steps = stepsOf(round);
      expect(steps.at(-1)?.atMs).toBeLessThan(60_000);
      expect(steps.map(({ atMs }) => atMs)).toEqual(steps.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
      const lasting = round.faults.filter(({ name }) => faultKinds[name].lasts !== undefined);
      expect(steps.filter(({ does }) => does === 'end').length).toBe(lasting.length);
    }
  });

  test('MySQL has nothing that only PostgreSQL has', () => {
    const names = new Set(rounds(1, 500, 'mysql').flatMap(({ faults }) => faults.map(({ name }) => name)));
    expect([...names].filter((name) => faultKinds[name].only === 'postgres')).toEqual([]);
  });

  test('may be of some kinds only', () => {
    const names = rounds(1, 50, 'postgres', ['agent killed']).flatMap(({ faults }) => faults.map(({ name }) => name));
    expect(new Set(names)).toEqual(new Set(['agent killed']));
  });
});

describe('what is promised meanwhile', () => {
  test.each<readonly [string, readonly Fault[], ReturnType<typeof promised>]>([
    ['the primary alone', [fault('node without power', 'primary')], { sameLeader: false, service: true }],
    ['a replica alone', [fault('node without power', 'replica 1')], { sameLeader: true, service: true }],
    ['the primary’s deadman', [fault('deadman killed', 'primary')], { sameLeader: true, service: true }],
    ['etcd alone', [fault('all of etcd stopped', 'etcd')], { sameLeader: true, service: true }],
    [
      'etcd and the primary',
      [fault('all of etcd stopped', 'etcd'), fault('database killed', 'primary')],
      { sameLeader: false, service: false },
    ],
    [
      'etcd and a replica',
      [fault('all of etcd stopped', 'etcd'), fault('database killed', 'replica 2')],
      { sameLeader: false, service: false },
    ],
    [
      'a node and a member of etcd beside: no quorum, perhaps',
      [fault('etcd’s leader killed', 'etcd'), fault('node cut off', 'replica 1')],
      { sameLeader: false, service: false },
    ],
    [
      'both replicas',
      [fault('agent stopped', 'replica 1'), fault('agent stopped', 'replica 2')],
      { sameLeader: true, service: false },
    ],
    ['the operator', [fault('operator away', 'operator')], { sameLeader: true, service: true }],
    ['the API server', [fault('API server away', 'API server')], { sameLeader: true, service: true }],
    [
      'the API server, without which -rw follows nobody',
      [fault('API server away', 'API server'), fault('agent killed', 'primary')],
      { sameLeader: false, service: false },
    ],
    [
      'whoever leads after the primary',
      [fault('agent killed', 'primary'), fault('whoever leads is killed', 'request')],
      { sameLeader: false, service: false },
    ],
    ['a switchover', [fault('switchover asked for', 'request')], { sameLeader: false, service: true }],
  ])('%s', (_, faults, expected) => {
    expect(promised(faults)).toEqual(expected);
  });
});

test('each kind says where it hits and which entries of the catalogue it is', () => {
  for (const name of faultNames) expect(faultKinds[name].entries.length).toBeGreaterThan(0);
  expect(isSlot('primary') && isSlot('replica 2') && !isSlot('etcd')).toBe(true);
});
