import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { kubernetesClient, type KubernetesClient } from './client.ts';
import { createEventRecorder, type EventRecorder } from './events.ts';
import { eventually } from './eventually.ts';
import { startFakeApiServer, type FakeApiServer } from './fake-api-server.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';

let api: FakeApiServer;
let clock: ManualClock;
let client: KubernetesClient;
let recorder: EventRecorder;

beforeEach(async () => {
  api = await startFakeApiServer();
  clock = manualClock();
  const surroundings = { clock, random: () => 0.5, log: pino({ level: 'silent' }) };
  client = kubernetesClient(api.access, surroundings);
  recorder = createEventRecorder({
    ...surroundings,
    client,
    reportingController: 'mainstay.dev/operator',
    reportingInstance: 'pod-1',
  });
});
afterEach(async () => {
  await client.close();
  await api.close();
});

const regarding = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'shop', name: 'orders-1', uid: 'u-1' } };
const record = (note: string, reason = 'Moved'): void => recorder.record({ regarding, type: 'Normal', reason, note });
interface Recorded {
  readonly note: string;
  readonly series?: { readonly count: number };
  readonly metadata: { readonly name: string };
}
async function recorded(): Promise<Recorded[]> {
  await recorder.flush();
  const names = api.requests.filter(({ method }) => method === 'POST').length;
  expect(names).toBeGreaterThan(0);
  const list = await client.list(
    { apiVersion: 'events.k8s.io/v1', kind: 'Event', plural: 'events', namespaced: true },
    {},
  );
  return list.items as unknown as Recorded[];
}

describe('the event recorder', () => {
  test('writes what the API asks for', async () => {
    record('from n1 to n2');
    expect(await recorded()).toMatchObject([
      {
        metadata: { namespace: 'shop', name: expect.stringMatching(/^orders-1\.[0-9a-f]+$/) },
        eventTime: '2026-01-01T00:00:00.000000Z',
        type: 'Normal',
        reason: 'Moved',
        action: 'Moved',
        note: 'from n1 to n2',
        reportingController: 'mainstay.dev/operator',
        reportingInstance: 'pod-1',
        regarding: { kind: 'Pod', namespace: 'shop', name: 'orders-1', uid: 'u-1' },
      },
    ]);
  });

  test('repeats become a count, sent at most every 10 s', async () => {
    for (let i = 0; i < 100; i++) record('same');
    await eventually(() => api.requests.length === 1);
    await clock.advance(9_000);
    expect(api.requests).toHaveLength(1);
    await clock.advance(1_000);
    await eventually(() => api.requests.length === 2);
    expect(await recorded()).toMatchObject([{ series: { count: 100 } }]);

    await clock.advance(600_000);
    record('same');
    expect(await recorded()).toHaveLength(2);
  });

  test('many notes of one reason are combined', async () => {
    for (let i = 0; i < 50; i++) record(`${String(i)} bytes behind`);
    const events = await recorded();
    expect(events).toHaveLength(11);
    expect(events[10]).toMatchObject({
      note: '(combined from similar events): 10 bytes behind',
      series: { count: 40 },
    });
  });

  test('an answer lost after the event was written makes no second event', async () => {
    record('once');
    await recorder.flush();
    const [event] = await recorded();
    api.fail((request) => (request.method === 'POST' ? { kind: 'reset' } : undefined));
    record('twice');
    await eventually(() => clock.pending === 1);
    api.fail((request) =>
      request.method === 'POST' ? { kind: 'status', status: 409, reason: 'AlreadyExists' } : undefined,
    );
    await clock.advance(2_000);
    expect(await recorded()).toEqual([event]);
  });

  test('a refused event is dropped, and nothing is thrown', async () => {
    api.fail(() => ({ kind: 'status', status: 403, reason: 'Forbidden' }));
    record('secret');
    await recorder.flush();
    expect(api.requests).toHaveLength(1);
    recorder.record({ regarding: undefined as never, type: 'Normal', reason: 'Broken', note: '' });
  });

  test('a counted event that has expired begins anew', async () => {
    record('same');
    const [event] = await recorded();
    api.remove(`/apis/events.k8s.io/v1/namespaces/shop/events/${event?.metadata.name ?? ''}`);
    record('same');
    expect(await recorded()).toMatchObject([{ series: { count: 2 } }]);
  });
});
