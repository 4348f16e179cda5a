import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { Dcs } from '../../dcs/dcs.ts';
import type { ConfinedUser } from '../../dcs/etcd-users.ts';
import { kubernetesClient } from '../../kubernetes/client.ts';
import { startFakeApiServer } from '../../kubernetes/fake-api-server.ts';
import { sampleCluster, sampleInstallation, sampleUid } from '../../resources/sample-cluster.ts';
import type { SwitchoverRequests } from '../switchover-requests.ts';
import { apply } from './apply.ts';
import { decide } from './decide.ts';
import { objectId, type Facts } from './facts.ts';
import { factsOf, newWorld } from './modelled-world.ts';

const path = '/api/v1/namespaces/shop/secrets/orders-etcd';
const user = `mainstay/shop/orders-${sampleUid}`;
const files = { 'ca.crt': 'CA', username: 'operator', password: 'root of all' };
const installation = (etcdCredentials: Record<string, string> = files) => ({
  ...sampleInstallation,
  etcdCredentials,
  etcdUserPerCluster: true,
});

test('each cluster gets a login of its own; the operator’s never reaches it, and its password stays while it is known', async () => {
  const api = await startFakeApiServer();
  const log = pino({ level: 'silent' });
  const client = kubernetesClient(api.access, { log });
  const asked: (ConfinedUser & { readonly resetPassword: boolean })[] = [];
  let passwords = 0;
  const effector = {
    client,
    dcs: {} as Dcs,
    requests: {} as SwitchoverRequests,
    newPassword: () => `new-${++passwords}`,
    metrics: { action: () => undefined },
    log,
    etcdUsers: {
      ensure: (one: ConfinedUser, { resetPassword }: { readonly resetPassword: boolean }) => {
        asked.push({ ...one, resetPassword });
        return Promise.resolve();
      },
      remove: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
  };
  const stored = (): Readonly<Record<string, string>> =>
    Object.fromEntries(
      Object.entries((api.object(path) as { data?: Record<string, string> } | undefined)?.data ?? {}).map(
        ([file, text]) => [file, Buffer.from(text, 'base64').toString()],
      ),
    );
  /** As the informer would show it. */
  const facts = (given: Facts['installation']): Facts => {
    const intent = (
      api.object(path)?.metadata as { readonly annotations?: Readonly<Record<string, string>> } | undefined
    )?.annotations?.['mainstay.dev/intent'];
    const world = newWorld(sampleCluster());
    if (intent !== undefined)
      world.objects.set(objectId('Secret', 'orders-etcd'), {
        uid: 'u',
        resourceVersion: '1',
        ours: true,
        intent,
        owners: [sampleUid],
        deleting: false,
      });
    return { ...factsOf(world), installation: given };
  };
  const reconcile = async (given: Facts['installation']): Promise<number> => {
    const logins = decide(facts(given)).filter(({ type }) => type === 'give-etcd-login');
    await apply(effector, facts(given), logins, () => undefined, AbortSignal.timeout(10_000));
    return logins.length;
  };

  expect(await reconcile(installation())).toBe(1);
  expect(asked).toEqual([{ name: user, password: 'new-1', prefix: `/${user}/`, resetPassword: true }]);
  expect(stored()).toEqual({ 'ca.crt': 'CA', username: user, password: 'new-1' });
  expect(await reconcile(installation())).toBe(0);

  // The operator's own login changes: nothing to do. Its authority: the same login, with the new authority.
  expect(await reconcile(installation({ ...files, password: 'another' }))).toBe(0);
  expect(await reconcile(installation({ ...files, 'ca.crt': 'CA2' }))).toBe(1);
  expect(stored()).toEqual({ 'ca.crt': 'CA2', username: user, password: 'new-1' });
  expect(asked.at(-1)).toMatchObject({ password: 'new-1', resetPassword: false });

  // Lost: nobody knows the password any more.
  api.remove(path);
  expect(await reconcile(installation())).toBe(1);
  expect(asked.at(-1)).toMatchObject({ password: 'new-2', resetPassword: true });
  await client.close();
  await api.close();
});

test('without a login of the operator’s there is none to give', () => {
  const facts = { ...factsOf(newWorld(sampleCluster())), installation: installation({ 'ca.crt': 'CA' }) };
  const types = decide(facts).map((action) => ('desired' in action ? action.desired.name : action.type));
  expect(types).not.toContain('give-etcd-login');
  expect(types).toContain('orders-etcd');
});
