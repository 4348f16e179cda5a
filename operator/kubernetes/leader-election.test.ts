import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { kubernetesClient, type KubernetesClient } from './client.ts';
import { eventually } from './eventually.ts';
import { startFakeApiServer, type FakeApiServer } from './fake-api-server.ts';
import { createLeaderElection, type LeaderElection, type LeaderElectionOptions } from './leader-election.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/system/leases/operator';

let api: FakeApiServer;
let clock: ManualClock;
const clients: KubernetesClient[] = [];

interface Candidate {
  readonly election: LeaderElection;
  readonly stop: AbortController;
  readonly running: Promise<void>;
  readonly log: string[];
}
const candidates: Candidate[] = [];

beforeEach(async () => {
  api = await startFakeApiServer();
  clock = manualClock();
});
afterEach(async () => {
  for (const { stop } of candidates) stop.abort();
  await eventually(() => true);
  await clock.advance(20_000);
  await Promise.all(candidates.splice(0).map(({ running }) => running));
  for (const client of clients.splice(0)) await client.close();
  await api.close();
});

function candidate(identity: string, onElected?: LeaderElectionOptions['onElected']): Candidate {
  const surroundings = { clock, random: () => 0, log: pino({ level: 'silent' }) };
  const client = kubernetesClient(
    { ...api.access, credentials: () => Promise.resolve({ token: identity }) },
    surroundings,
  );
  clients.push(client);
  const log: string[] = [];
  const election = createLeaderElection({
    ...surroundings,
    client,
    namespace: 'system',
    name: 'operator',
    identity,
    onElected: (signal) => {
      log.push('elected');
      signal.addEventListener('abort', () => log.push('ended'));
      return onElected?.(signal);
    },
    onLost: () => log.push('lost'),
  });
  const stop = new AbortController();
  const made = { election, stop, running: election.run(stop.signal), log };
  candidates.push(made);
  return made;
}
/** Time passes in steps short enough for the candidates' calls to be answered between them. */
async function pass(seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 2; step++) {
    await clock.advance(500);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
const cutOff = (identity: string): void =>
  api.fail((request) => (request.headers.authorization === `Bearer ${identity}` ? { kind: 'reset' } : undefined));

describe('leader election', () => {
  test('one leads and renews, the other waits', async () => {
    const a = candidate('a');
    await eventually(() => a.election.isLeader());
    const b = candidate('b');
    await pass(60);
    expect(a.election.isLeader()).toBe(true);
    expect(b.election.isLeader()).toBe(false);
    expect(b.election.leader()).toBe('a');
    expect(api.object(LEASE)).toMatchObject({
      spec: {
        holderIdentity: 'a',
        leaseDurationSeconds: 15,
        leaseTransitions: 0,
        renewTime: expect.stringMatching(/\.\d{6}Z$/),
      },
    });
  });

  test('a leader that stops hands over within a retry period', async () => {
    const a = candidate('a');
    await eventually(() => a.election.isLeader());
    const b = candidate('b');
    await pass(4);
    a.stop.abort();
    await a.running;
    expect(a.log).toEqual(['elected', 'ended']);
    await pass(2.5);
    expect(b.election.isLeader()).toBe(true);
    expect(api.object(LEASE)).toMatchObject({ spec: { holderIdentity: 'b', leaseTransitions: 1 } });
  });

  test('the lease is not released before the work has ended', async () => {
    let finish: () => void = () => undefined;
    const a = candidate('a', () => new Promise((resolve) => (finish = resolve)));
    await eventually(() => a.election.isLeader());
    const b = candidate('b');
    await pass(2);
    a.stop.abort();
    await pass(4);
    expect(b.election.isLeader()).toBe(false);
    finish();
    await a.running;
    await pass(2.5);
    expect(b.election.isLeader()).toBe(true);
  });

  test('a leader cut off gives up after 10 s, before another may lead after 15 s', async () => {
    const a = candidate('a');
    await eventually(() => a.election.isLeader());
    const b = candidate('b');
    await pass(4);
    cutOff('a');
    await pass(11);
    expect(a.log).toEqual(['elected', 'ended', 'lost']);
    expect(a.election.isLeader()).toBe(false);
    expect(b.election.isLeader()).toBe(false);
    await pass(7);
    expect(b.election.isLeader()).toBe(true);
  });

  test('a short cut-off costs nothing', async () => {
    const a = candidate('a');
    await eventually(() => a.election.isLeader());
    cutOff('a');
    await pass(7);
    api.fail(undefined);
    await pass(10);
    expect(a.log).toEqual(['elected']);
    expect(a.election.isLeader()).toBe(true);
  });

  test('a lease taken by another is lost at once', async () => {
    const a = candidate('a');
    await eventually(() => a.election.isLeader());
    api.put(LEASE, { spec: { holderIdentity: 'thief', leaseDurationSeconds: 15 } });
    await pass(3);
    expect(a.log).toEqual(['elected', 'ended', 'lost']);
  });

  test('the clock of the holder’s machine does not count', async () => {
    api.put(LEASE, {
      spec: { holderIdentity: 'old', leaseDurationSeconds: 15, renewTime: '2001-01-01T00:00:00.000000Z' },
    });
    const a = candidate('a');
    await pass(13);
    expect(a.election.isLeader()).toBe(false);
    await pass(5);
    expect(a.election.isLeader()).toBe(true);
  });

  test('work that fails gives leadership up', async () => {
    const a = candidate('a', () => Promise.reject(new Error('broken')));
    await a.running;
    expect(a.log).toEqual(['elected', 'ended', 'lost']);
  });
});
