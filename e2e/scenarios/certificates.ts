import assert from 'node:assert/strict';
import type { V1Secret } from '@kubernetes/client-node';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import type { TestedEngine } from '../../hack/testbed/engines.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type World } from '../scenario.ts';

/** Each of the three steps waits for every instance to tell that it has taken over the one before. */
const rotationMs = 3 * seconds(60);

scenario('the certificate authority is replaced under load', { localNodes: true }, async (world) => {
  const { orders, writeBeside, access } = world;
  const primary = await orders.primary();
  const [pods, former] = [await orders.pods(), await authorityOf(world)];
  const inNamespace = ['--namespace', orders.namespace];
  for (const pod of pods) assert.equal(issuerOf(await shownBy(orders.engine, pod.ip, former)), subjectOf(former));

  const client = await writeBeside(primary);
  await client.expectTrouble();
  await orders.change({ tls: { authorityLeadDays: 0 } });
  await access.kubectl(['delete', 'secret', 'orders-ca-key', ...inNamespace]);
  const next = await until(
    'a new authority, and no other',
    async () => {
      const now = await authorityOf(world);
      if (now === former) return notYet('still the former');
      if (now.split('BEGIN').length !== 2) return notYet('both are trusted');
      const condition = (await orders.resource())?.status?.conditions?.find(({ type }) => type === 'CertificatesValid');
      return condition?.reason === 'Valid' ? yes(now) : notYet(condition?.message ?? 'no condition');
    },
    { within: rotationMs },
  );
  for (const pod of pods) assert.equal(issuerOf(await shownBy(orders.engine, pod.ip, next)), subjectOf(next));

  assert.deepEqual(
    (await orders.pods()).map(({ uid, restarts }) => [uid, restarts]),
    pods.map(({ uid, restarts }) => [uid, restarts]),
  );
  assert.equal((await orders.primary()).instance, primary.instance);
  await client.outageIsAtMost(budgets.undisturbedMs);
  // Whoever follows anew does so by the new ones.
  await access.kubectl(['delete', 'pod', primary.instance, ...inNamespace]);
  await orders.primaryOtherThan(primary, { within: budgets.outageMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
});

/** As clients find it. */
async function authorityOf({ api, orders }: World): Promise<string> {
  const secret = await api.get<V1Secret>(`/api/v1/namespaces/${orders.namespace}/secrets/orders-ca`);
  return Buffer.from(secret?.data?.['ca.crt'] ?? '', 'base64').toString();
}

/** The certificate of a server, checked as `sslmode=verify-full` and `--ssl-mode=VERIFY_IDENTITY` do. */
async function shownBy(engine: TestedEngine, address: string, ca: string): Promise<X509Certificate> {
  const servername = 'orders-rw';
  const socket = connectPlain(engine.port, address);
  socket.setTimeout(seconds(5), () => socket.destroy(new Error(`${address} does not answer`)));
  await once(socket, 'connect');
  await askForTls[engine.name](socket);
  const secured = connectSecurely({ socket, ca, servername });
  await once(secured, 'secureConnect');
  const certificate = secured.getPeerX509Certificate();
  secured.destroy();
  assert.ok(certificate);
  return certificate;
}

const askForTls = {
  postgres: async (socket: Socket): Promise<void> => {
    socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.equal(answer.toString(), 'S', 'the server has no TLS');
  },
  mysql: async (socket: Socket): Promise<void> => {
    await once(socket, 'data');
    // SSLRequest: CLIENT_PROTOCOL_41 | CLIENT_SSL | CLIENT_SECURE_CONNECTION, no limit, utf8mb4.
    const request = Buffer.alloc(36);
    request.writeUInt32LE(32 | (1 << 24), 0);
    request.writeUInt32LE(0x200 | 0x800 | 0x8000, 4);
    request.writeUInt8(255, 12);
    socket.write(request);
  },
} as const;

const issuerOf = (certificate: X509Certificate): string => certificate.issuer;
const subjectOf = (certificate: string): string => new X509Certificate(certificate).subject;
