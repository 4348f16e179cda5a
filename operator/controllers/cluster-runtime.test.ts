import { expect, test } from '@jest/globals';
import { parseRuntime, publishedDefinition } from './cluster-runtime.ts';

const entries = (values: Readonly<Record<string, unknown>>) =>
  new Map(Object.entries(values).map(([key, value]) => [key, { value: JSON.stringify(value), modRevision: 1 }]));
const history = (epoch: number) => ({ epoch, winner: 'orders-1', reason: 'LeaseExpired', at: '2026-11-21T08:00:00Z' });
const request = { id: 'r', reason: 'because' };

test('history comes in the order of epochs, the last 200', () => {
  const epochs = Array.from({ length: 250 }, (_, index) => 250 - index);
  const stored = entries(
    Object.fromEntries(epochs.map((epoch) => [`history/${String(epoch).padStart(10, '0')}`, history(epoch)])),
  );
  const parsed = parseRuntime(stored, undefined, '7').history.map(({ epoch }) => epoch);
  expect([parsed.length, parsed[0], parsed.at(-1)]).toEqual([200, 51, 250]);
});

test.each([
  ['a forced failover', 'requests/failover', { ...request, to: 'orders-2', deadline: '2026-11-21T08:00:00Z' }],
  ['an adoption', 'requests/adopt', { ...request, etcdClusterId: '7' }],
])('%s is an emergency', (_, key, value) => {
  expect(parseRuntime(entries({ [key]: value }), undefined, '7').emergency).toMatchObject(value);
});

test('tags are those that the agents were told; a definition of another form is merely not ours', () => {
  const tags = { 'orders-1': { priority: 5 } };
  const read = (value: string) => publishedDefinition({ value, modRevision: 7 });
  expect(read(JSON.stringify({ instances: ['orders-1'], tags }))).toMatchObject({
    instances: ['orders-1'],
    tags: { 'orders-1': { priority: 5, noFailover: false, noSync: false } },
    modRevision: 7,
  });
  expect(read('{"instances":["orders-1"]}')).toMatchObject({ instances: ['orders-1'], tags: {} });
  for (const odd of ['', '{', '[]', '{"instances":3}']) expect(read(odd)).toMatchObject({ instances: [], tags: {} });
});
