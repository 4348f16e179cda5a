import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { kubernetesClient } from './client.ts';
import { startFakeApiServer, type FakeApiServer } from './fake-api-server.ts';
import { fenced } from './fence.ts';
import { configMaps } from './kinds.ts';

let server: FakeApiServer;
beforeEach(async () => {
  server = await startFakeApiServer();
});
afterEach(() => server.close());

test('who does not lead any more writes nothing, and may still read', async () => {
  const client = kubernetesClient(server.access);
  let leads = true;
  const guarded = fenced(client, () => leads);
  const object = { metadata: { namespace: 'a', name: 'x' } };
  await guarded.create(configMaps, object);
  leads = false;
  const how = { fieldManager: 'test' };
  const writes = [
    () => guarded.create(configMaps, { metadata: { namespace: 'a', name: 'y' } }),
    () => guarded.apply(configMaps, object, how),
    () => guarded.update(configMaps, object),
    () => guarded.patch(configMaps, object.metadata, {}, how),
    () => guarded.delete(configMaps, object.metadata),
  ];
  for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'LeadershipLost', retryable: false });
  expect(await guarded.get(configMaps, object.metadata)).toBeDefined();
  expect(server.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
  await client.close();
});
