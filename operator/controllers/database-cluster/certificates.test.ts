import { describe, expect, test } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { tlsFileNames, tlsFingerprint, type TlsFiles } from '../../api/tls-files.ts';
import { issue, makeAuthority, type KeyPair } from '../../certificates/authority.ts';
import { readAuthoritySecret, readServerSecret } from '../../certificates/own-secret.ts';
import { certificatesIn } from '../../certificates/pem.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { sampleCluster, sampleUid } from '../../resources/sample-cluster.ts';
import { certificateState, judgeCertificates, type ClusterCertificates } from './certificates.ts';
import { objectId, type ObservedObject } from './facts.ts';
import { factsOf, member, newWorld } from './modelled-world.ts';
import { secretTexts, writeAuthority, writeCertificates } from './write-certificates.ts';

const day = 24 * 3600_000;
const start = Date.parse('2026-11-21T08:00:00Z');
const names = ['orders-1', 'orders-2', 'orders-3'];
const options = { timeoutMs: 1000 };

/** Secrets as the API server keeps them, and instances that take over what they are given when told to. */
function world(tls: Readonly<Record<string, unknown>> = {}) {
  const secrets = new Map<string, { data: Record<string, string>; version: number }>();
  const loaded = new Map<string, TlsFiles>();
  let now = start;
  let version = 0;
  const client = {
    get: (_kind: unknown, { name }: { name: string }) => {
      const found = secrets.get(name);
      return Promise.resolve(found && { data: found.data });
    },
    create: (_kind: unknown, secret: { metadata: { name: string }; data: Record<string, string> }) => {
      if (secrets.has(secret.metadata.name)) throw new Error('AlreadyExists');
      secrets.set(secret.metadata.name, { data: secret.data, version: ++version });
      return Promise.resolve();
    },
    patch: (
      _kind: unknown,
      { name }: { name: string },
      { metadata, data }: { metadata: { resourceVersion: string }; data: Record<string, string> },
    ) => {
      const before = secrets.get(name);
      if (String(before?.version) !== metadata.resourceVersion) throw new Error('Conflict');
      secrets.set(name, { data: { ...before?.data, ...data }, version: ++version });
      return Promise.resolve();
    },
  } as unknown as KubernetesClient;
  let cluster = sampleCluster({ tls });
  const base = newWorld(cluster);

  const judge = async (): Promise<ClusterCertificates> => {
    const texts = (name: string) => secretTexts(client, 'shop', name, options);
    const { serverSecret, authoritySecret } = cluster.spec.tls;
    return judgeCertificates({
      now,
      cluster,
      dataUid: sampleUid,
      objects: observed(),
      pods: [],
      runtime: {
        ...base.runtime,
        members: new Map(
          [...loaded].map(([name, files]) => [name, member(name, false, 1, { certificates: tlsFingerprint(files) })]),
        ),
      },
      brought: {
        server: serverSecret === undefined ? undefined : readServerSecret(serverSecret, await texts(serverSecret), now),
        authority:
          authoritySecret === undefined
            ? undefined
            : readAuthoritySecret(authoritySecret, await texts(authoritySecret), now),
      },
    });
  };
  const observed = (): Map<string, ObservedObject> =>
    new Map(
      [...secrets].map(([name, secret]) => [
        objectId('Secret', name),
        {
          ...{ uid: name, resourceVersion: String(secret.version), ours: true, intent: undefined },
          ...{ owners: [], deleting: false, certificates: decoded(secret.data) },
        },
      ]),
    );
  return {
    secrets,
    loaded,
    judge,
    at: () => now,
    pass: (milliseconds: number) => (now += milliseconds),
    respec: (next: Readonly<Record<string, unknown>>) => (cluster = sampleCluster({ tls: next })),
    put: (name: string, texts: Readonly<Record<string, string>>) =>
      secrets.set(name, { data: encoded(texts), version: ++version }),
    files: (): TlsFiles => filesOf(decoded(secrets.get('orders-certificates')?.data ?? {})),
    takeOver: (name: string) => loaded.set(name, filesOf(decoded(secrets.get('orders-certificates')?.data ?? {}))),
    /** One round of the operator; what it did. */
    step: async (): Promise<string> => {
      const certificates = await judge();
      const facts = { ...factsOf(base), cluster, now, dataUid: sampleUid, objects: observed(), certificates };
      const { plan } = certificates;
      if (plan.step === 'make-authority') await writeAuthority(client, facts, 'test', options);
      if (plan.step === 'write-files') await writeCertificates(client, facts, plan, 'test', options);
      return plan.step;
    },
    /** Until nothing is left to do, with instances that follow at once. */
    async settle(): Promise<void> {
      for (let round = 0; round < 12; round += 1) {
        for (const name of loaded.size > 0 ? names : []) this.takeOver(name);
        const done = await this.step();
        if (loaded.size === 0 && done === 'write-files') for (const name of names) this.takeOver(name);
        if (done === 'nothing' || done === 'wait-for-user') return;
      }
      throw new Error('it never ends');
    },
  };
}

const encoded = (texts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).map(([file, text]) => [file, Buffer.from(text).toString('base64')]));
const decoded = (data: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([file, text]) => [file, Buffer.from(text, 'base64').toString()]));
const filesOf = (texts: Readonly<Record<string, string>>): TlsFiles =>
  Object.fromEntries(
    Object.entries(tlsFileNames).map(([key, file]) => [key, texts[file] ?? '']),
  ) as unknown as TlsFiles;

const trusts = (authorities: string, certificate: string): boolean => {
  const leaf = new X509Certificate(certificate);
  return certificatesIn(authorities).some((pem) => {
    const authority = new X509Certificate(pem);
    return leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
  });
};

/** Any instance could follow any other now. */
function allTrustEachOther(loaded: ReadonlyMap<string, TlsFiles>): void {
  for (const [server, of] of loaded)
    for (const [client, as] of loaded) {
      if (!trusts(as.serverAuthorities, of.serverCertificate)) throw new Error(`${client} does not trust ${server}`);
      if (!trusts(of.clientAuthorities, as.clientCertificate)) throw new Error(`${server} does not let ${client} in`);
    }
}

const serialOf = (certificate: string): string => new X509Certificate(certificate).serialNumber;

describe('a new cluster', () => {
  test('gets an authority, then certificates for all its names', async () => {
    const cluster = world({ names: ['db.example.com', '10.0.0.7', '2001:db8::7', 'DB.Example.org'] });
    expect((await cluster.judge()).files).toBeUndefined();
    expect([await cluster.step(), await cluster.step(), await cluster.step()]).toEqual([
      'make-authority',
      'write-files',
      'nothing',
    ]);
    const server = new X509Certificate(cluster.files().serverCertificate);
    for (const name of ['orders-rw', 'orders-ro.shop', 'orders-r.shop.svc', 'orders-rw.shop.svc.cluster.local'])
      expect(server.checkHost(name)).toBeDefined();
    expect(server.checkHost('orders-2.orders-pods.shop.svc')).toBeDefined();
    expect([server.checkHost('db.example.com'), server.checkIP('10.0.0.7')]).toEqual(['db.example.com', '10.0.0.7']);
    expect(server.checkIP('2001:0db8::7')).toBeDefined();
    expect(server.checkHost('orders-rw.other')).toBeUndefined();
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    // Agents ask and answer one another.
    expect(new X509Certificate(cluster.files().clientCertificate).keyUsage).toEqual([
      '1.3.6.1.5.5.7.3.1',
      '1.3.6.1.5.5.7.3.2',
    ]);
    // Clocks of nodes may be behind.
    expect(server.validFromDate.getTime()).toBeLessThan(start);
    for (const name of names) cluster.takeOver(name);
    allTrustEachOther(cluster.loaded);
    expect(certificateState({ certificates: await cluster.judge(), now: start })).toMatchObject({ reason: 'Valid' });
  });

  test('keeps its keys out of what is public', async () => {
    const cluster = world();
    await cluster.settle();
    expect(JSON.stringify(await cluster.judge())).not.toContain('PRIVATE KEY');
  });
});

describe('renewal', () => {
  test('comes after two thirds of the life, by the same authority, and once', async () => {
    const cluster = world();
    await cluster.settle();
    const before = cluster.files();
    cluster.pass(240 * day);
    expect(await cluster.step()).toBe('nothing');
    cluster.pass(10 * day);
    await cluster.settle();
    expect(serialOf(cluster.files().serverCertificate)).not.toBe(serialOf(before.serverCertificate));
    expect(cluster.files().serverAuthorities).toBe(before.serverAuthorities);
    expect(await cluster.step()).toBe('nothing');
  });

  test('comes for agents’ certificates of earlier versions, which agents can’t answer with', async () => {
    const cluster = world();
    await cluster.settle();
    const [texts, by] = ['orders-certificates', 'orders-ca-key'].map((name) =>
      decoded(cluster.secrets.get(name)?.data ?? {}),
    );
    const former = await issue(
      { certificate: by?.['tls.crt'] ?? '', key: by?.['tls.key'] ?? '' },
      { commonName: `mainstay-agent-${sampleUid}`, organization: 'shop', usage: ['client'], names: [] },
      { from: start, to: start + 365 * day },
    );
    cluster.put('orders-certificates', { ...texts, 'client.crt': former.certificate, 'client.key': former.key });
    await cluster.settle();
    const renewed = new X509Certificate(cluster.files().clientCertificate);
    expect(renewed.keyUsage).toContain('1.3.6.1.5.5.7.3.1');
    expect(cluster.files().serverCertificate).toBe(texts?.['tls.crt']);
  });

  test('comes when a name is added', async () => {
    const cluster = world();
    await cluster.settle();
    const client = cluster.files().clientCertificate;
    cluster.respec({ names: ['db.example.com'] });
    await cluster.settle();
    expect(new X509Certificate(cluster.files().serverCertificate).checkHost('db.example.com')).toBeDefined();
    expect(cluster.files().clientCertificate).toBe(client);
  });

  test('is looked for in time', async () => {
    const cluster = world();
    await cluster.settle();
    const { plan } = await cluster.judge();
    if (plan.step !== 'nothing') throw new Error(plan.step);
    expect(plan.lookAgainAt - start).toBe(day);
  });
});

describe('a new authority', () => {
  test('is trusted everywhere before servers show a certificate of it, and given its time', async () => {
    const cluster = world();
    await cluster.settle();
    const before = cluster.files();
    cluster.secrets.delete('orders-ca-key');
    expect([await cluster.step(), await cluster.step(), await cluster.step()]).toEqual([
      'make-authority',
      'write-files',
      'nothing',
    ]);
    expect(cluster.files().serverCertificate).toBe(before.serverCertificate);
    expect(certificatesIn(cluster.files().serverAuthorities)).toHaveLength(2);
    cluster.takeOver('orders-1');
    cluster.takeOver('orders-2');
    cluster.pass(30 * day);
    expect(await cluster.step()).toBe('nothing'); // orders-3 may not know it
    expect(certificateState({ certificates: await cluster.judge(), now: cluster.at() })).toMatchObject({
      status: 'True',
      reason: 'Renewing',
      message: expect.stringContaining('orders-3 do not use') as unknown,
    });
    await cluster.settle();
    expect(serialOf(cluster.files().serverCertificate)).not.toBe(serialOf(before.serverCertificate));
    expect(certificatesIn(cluster.files().serverAuthorities)).toHaveLength(1);
    expect(certificatesIn(cluster.files().clientAuthorities)).toHaveLength(1);
  });

  test('with its time not over, replication goes first and clients are spared', async () => {
    const cluster = world();
    await cluster.settle();
    const before = cluster.files();
    cluster.secrets.delete('orders-ca-key');
    await cluster.settle();
    expect(serialOf(cluster.files().clientCertificate)).not.toBe(serialOf(before.clientCertificate));
    expect(cluster.files().serverCertificate).toBe(before.serverCertificate);
    cluster.pass(8 * day);
    await cluster.settle();
    expect(serialOf(cluster.files().serverCertificate)).not.toBe(serialOf(before.serverCertificate));
  });

  test('does not wait for ever for an instance that is away', async () => {
    const cluster = world();
    await cluster.settle();
    cluster.secrets.delete('orders-ca-key');
    cluster.loaded.delete('orders-3');
    await cluster.step();
    await cluster.step();
    cluster.pass(334 * day);
    expect(await cluster.step()).toBe('nothing');
    cluster.pass(day);
    expect(await cluster.step()).toBe('write-files');
    expect(trusts(cluster.files().serverAuthorities, cluster.files().serverCertificate)).toBe(true);
  });

  test('however slowly instances and clocks go, each can always follow each other', async () => {
    const event = fc.oneof(
      fc.record({ type: fc.constant('step' as const), times: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ type: fc.constant('take over' as const), name: fc.constantFrom(...names) }),
      fc.record({ type: fc.constant('pass' as const), days: fc.integer({ min: 1, max: 20 }) }),
      fc.constant({ type: 'lose key' } as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        const cluster = world();
        await cluster.settle();
        let days = 0;
        for (const happening of events) {
          if (happening.type === 'step') for (let n = 0; n < happening.times; n += 1) await cluster.step();
          else if (happening.type === 'take over') cluster.takeOver(happening.name);
          else if (happening.type === 'lose key') cluster.secrets.delete('orders-ca-key');
          // Who is away for most of a year is waited for no longer.
          else if ((days += happening.days) < 330) cluster.pass(happening.days * day);
          allTrustEachOther(cluster.loaded);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('what users bring', () => {
  async function pairOf(authority: KeyPair, from = start - day, to = start + 90 * day): Promise<KeyPair> {
    return issue(
      authority,
      { commonName: 'db', organization: 'x', usage: ['server'], names: ['db.example.com'] },
      { from, to },
    );
  }
  const ownAuthority = (name = 'corporate') =>
    makeAuthority({ name, organization: 'x' }, { from: start - day, to: start + 900 * day });
  const secretOf = (pair: KeyPair, authority: KeyPair) => ({
    'tls.crt': pair.certificate,
    'tls.key': pair.key,
    'ca.crt': authority.certificate,
  });

  test('a server certificate is used once all trust its authority, and renewed in place', async () => {
    const cluster = world();
    await cluster.settle();
    const authority = await ownAuthority();
    cluster.put('shop-tls', secretOf(await pairOf(authority), authority));
    cluster.respec({ serverSecret: 'shop-tls' });
    const before = cluster.files().serverCertificate;
    await cluster.step();
    expect(cluster.files().serverCertificate).toBe(before);
    expect(certificatesIn(cluster.files().serverAuthorities)).toHaveLength(2);
    await cluster.settle();
    expect(new X509Certificate(cluster.files().serverCertificate).checkHost('db.example.com')).toBeDefined();
    expect(certificatesIn(cluster.files().serverAuthorities)).toEqual([authority.certificate.trim()]);
    expect(trusts(cluster.files().clientAuthorities, cluster.files().clientCertificate)).toBe(true);

    const renewed = await pairOf(authority, start, start + 180 * day);
    cluster.put('shop-tls', secretOf(renewed, authority));
    expect(await cluster.step()).toBe('write-files');
    expect(serialOf(cluster.files().serverCertificate)).toBe(serialOf(renewed.certificate));

    cluster.respec({});
    cluster.pass(8 * day);
    await cluster.settle();
    expect(new X509Certificate(cluster.files().serverCertificate).checkHost('orders-rw')).toBeDefined();
  });

  test('one that can’t be used is named, and what was there stays', async () => {
    const cluster = world({ serverSecret: 'shop-tls' });
    const authority = await ownAuthority();
    cluster.put('shop-tls', secretOf(await pairOf(authority), authority));
    await cluster.settle();
    const before = cluster.files();
    const other = await pairOf(authority);
    const good = secretOf(other, authority);
    for (const [texts, says] of [
      [{ ...good, 'tls.key': (await pairOf(authority)).key }, 'a tls.key that does not belong to tls.crt'],
      [{ ...good, 'tls.key': 'x' }, 'a tls.key that is no private key'],
      [{ ...good, 'tls.crt': 'x' }, 'a tls.crt that is no certificate'],
      [{ ...good, 'tls.crt': '' }, 'has no tls.crt: add it'],
      [{ ...good, 'ca.crt': '' }, 'has no ca.crt: add the certificates of the authority'],
      [secretOf(await pairOf(authority, start - 9 * day, start - day), authority), 'ended at'],
      [secretOf(await pairOf(authority, start + day, start + 9 * day), authority), 'begins at'],
    ] as const) {
      cluster.put('shop-tls', texts);
      await cluster.settle();
      expect(cluster.files()).toEqual(before);
      const state = certificateState({ certificates: await cluster.judge(), now: start });
      expect(state).toMatchObject({ status: 'False', reason: 'SecretUnusable' });
      expect(state.message).toContain(says);
      expect(state.message).toContain('Secret shop-tls (spec.tls.serverSecret)');
      expect(state.message).toContain('stays in force');
    }
    cluster.secrets.delete('shop-tls');
    expect((await cluster.judge()).problem).toContain('does not exist: make it, or remove the field');
    cluster.put('shop-tls', good);
    await cluster.settle();
    expect(serialOf(cluster.files().serverCertificate)).toBe(serialOf(other.certificate));
  });

  test('an authority issues what Mainstay’s own did', async () => {
    const cluster = world();
    await cluster.settle();
    const authority = await ownAuthority();
    cluster.put('corporate', { 'tls.crt': authority.certificate, 'tls.key': authority.key });
    cluster.respec({ authoritySecret: 'corporate' });
    await cluster.settle();
    expect(certificatesIn(cluster.files().serverAuthorities)).toEqual([authority.certificate.trim()]);
    for (const name of names) cluster.takeOver(name);
    allTrustEachOther(cluster.loaded);
    const leaf = await pairOf(authority);
    cluster.put('corporate', { 'tls.crt': leaf.certificate, 'tls.key': leaf.key });
    expect((await cluster.judge()).problem).toContain('no certificate authority in tls.crt');
  });

  test('an authority that ends soon is told of, and issues no end of certificates', async () => {
    const authority = await makeAuthority(
      { name: 'old', organization: 'x' },
      { from: start - 90 * day, to: start + day / 48 },
    );
    const cluster = world({ authoritySecret: 'corporate' });
    cluster.put('corporate', { 'tls.crt': authority.certificate, 'tls.key': authority.key });
    await cluster.settle();
    expect(await cluster.step()).toBe('nothing');
    expect(certificateState({ certificates: await cluster.judge(), now: start })).toMatchObject({
      reason: 'ExpiringSoon',
    });
  });

  test('what nobody renews is told of in time', async () => {
    const cluster = world({ serverSecret: 'shop-tls' });
    const authority = await ownAuthority();
    cluster.put('shop-tls', secretOf(await pairOf(authority), authority));
    await cluster.settle();
    cluster.pass(70 * day);
    expect(certificateState({ certificates: await cluster.judge(), now: cluster.at() })).toMatchObject({
      status: 'True',
    });
    cluster.pass(10 * day);
    expect(certificateState({ certificates: await cluster.judge(), now: cluster.at() })).toMatchObject({
      status: 'False',
      reason: 'ExpiringSoon',
      message: expect.stringContaining('The server certificate ends on 2027-02-19') as unknown,
    });
  });
});
