import { expect, test } from '@jest/globals';
import { parsePostgresCluster } from '../../api/postgres-cluster.ts';
import { sampleCluster, sampleInstallation } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import { opensInMs } from './maintenance.ts';
import { carryOut, factsOf, newWorld, settle } from './modelled-world.ts';
import { recheckInMs } from './recheck.ts';

const hour = 3_600_000;
const opens = (maintenance: object, now: string): number =>
  opensInMs(sampleCluster({ maintenance }), Date.parse(now)) / hour;
const nightly = { windows: [{ start: '02:00', durationMinutes: 120 }] };
const sundays = { windows: [{ days: ['Sun'], start: '23:00', durationMinutes: 180 }] };

// 2026-11-21 is a Saturday.
test.each<[string, object, string, number]>([
  ['none: always', {}, '2026-11-21T12:00:00Z', 0],
  ['before', nightly, '2026-11-21T01:00:00Z', 1],
  ['at its beginning', nightly, '2026-11-21T02:00:00Z', 0],
  ['in its last minute', nightly, '2026-11-21T03:59:59Z', 0],
  ['at its end', nightly, '2026-11-21T04:00:00Z', 22],
  ['on another day', sundays, '2026-11-21T23:00:00Z', 24],
  ['past midnight of its day, which ends the week', sundays, '2026-11-23T01:30:00Z', 0],
  ['the soonest of several', { windows: [...nightly.windows, ...sundays.windows] }, '2026-11-22T22:00:00Z', 1],
  ['in its own time zone', { ...nightly, timeZone: 'Asia/Tokyo' }, '2026-11-21T17:30:00Z', 0],
  ['in summer time', { ...nightly, timeZone: 'Europe/Berlin' }, '2026-07-01T00:30:00Z', 0],
  ['in winter time', { ...nightly, timeZone: 'Europe/Berlin' }, '2026-11-21T00:30:00Z', 0.5],
])('%s', (_, maintenance, now, expected) => {
  expect(opens(maintenance, now)).toBe(expected);
});

test('Pods of an earlier operator wait for the window, and no longer', () => {
  const world = newWorld(sampleCluster({ operatorUpgrades: 'ReplacePods', maintenance: nightly }));
  const installation = { ...sampleInstallation, mainstayImage: 'mainstay:2' };
  for (let round = 0; round < 20; round += 1) {
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
  }
  world.now = Date.parse('2026-11-21T12:00:00Z');
  expect(decide({ ...factsOf(world), installation })).toEqual([]);
  expect(recheckInMs({ ...factsOf(world), installation })).toBe(14 * hour);
  world.now = Date.parse('2026-11-22T02:00:00Z');
  expect(decide({ ...factsOf(world), installation }).map(({ type }) => type)).toEqual(['delete-pod']);
});

test.each([
  ['a time', { windows: [{ start: '24:00', durationMinutes: 60 }] }, /is no time of day/],
  ['a time zone', { timeZone: 'Mars/Olympus' }, /is no time zone/],
])('%s that does not exist is refused', (_, maintenance, message) => {
  const cluster = { ...sampleCluster(), spec: { storage: { size: '1Gi' }, maintenance } };
  expect(() => parsePostgresCluster(cluster)).toThrow(message);
});
