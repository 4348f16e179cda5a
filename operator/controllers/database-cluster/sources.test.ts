import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { kubernetesClient } from '../../kubernetes/client.ts';
import { startFakeApiServer } from '../../kubernetes/fake-api-server.ts';
import { createSources } from './sources.ts';

test('where nodes may not be read, nothing outside the namespace is asked for, and nothing waits for it', async () => {
  const api = await startFakeApiServer();
  // As RBAC answers.
  api.fail(({ path }) =>
    path.includes('/namespaces/shop/') ? undefined : { kind: 'status', status: 403, reason: 'Forbidden' },
  );
  const log = pino({ level: 'silent' });
  const client = kubernetesClient(api.access, { log });
  const end = new AbortController();
  const nothing = (): void => undefined;
  const sources = createSources({
    client,
    log,
    namespace: 'shop',
    watchNodes: false,
    onCluster: nothing,
    onNode: nothing,
  });
  const running = sources.start(end.signal);
  await sources.whenSynced(end.signal);
  expect(sources.nodes.hasSynced()).toBe(false);
  expect(api.requests.filter(({ path }) => !path.includes('/namespaces/shop/'))).toEqual([]);
  end.abort();
  await running;
  await client.close();
  await api.close();
});
