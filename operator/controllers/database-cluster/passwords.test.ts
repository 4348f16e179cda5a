import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { isVerifier, matchesVerifier } from '../../platform/scram.ts';
import { declarationFor } from '../../resources/declaration.ts';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { applicationContent } from '../../resources/secrets.ts';
import { emptyRuntime } from './modelled-world.ts';
import { observePasswords } from './passwords.ts';

const cluster = sampleCluster({ roles: [{ name: 'shop', login: true, passwordSecret: { name: 'login', key: 'pw' } }] });

interface Stored {
  readonly version: string;
  readonly data: Readonly<Record<string, string>>;
}

const own: Readonly<Record<string, Stored>> = {
  'orders-app': { version: '1', data: { ...applicationContent(cluster, 'apple') } },
  'orders-system': { version: '2', data: { 'replication-password': 'r', 'rewind-password': 'w' } },
};

/** Reads of Secrets are counted; `failing` ones are refused. */
function observing(stored: Readonly<Record<string, Stored>>, failing: readonly string[] = []) {
  const reads: string[] = [];
  const metadataOf = (name: string) => ({ name, uid: `uid-${name}`, resourceVersion: stored[name]?.version ?? '' });
  const observer = {
    log: pino({ level: 'silent' }),
    client: {
      get: (_kind: unknown, { name }: { readonly name: string }) => {
        reads.push(name);
        if (failing.includes(name)) return Promise.reject(new Error('forbidden'));
        const data = Object.entries(stored[name]?.data ?? {}).map(([key, text]) => [
          key,
          Buffer.from(text).toString('base64'),
        ]);
        return Promise.resolve(
          stored[name] && { metadata: metadataOf(name), data: Object.fromEntries(data) as object },
        );
      },
    },
    sources: {
      secretVersions: {
        get: (key: string) => {
          const name = key.split('/')[1] ?? '';
          return stored[name] && { metadata: metadataOf(name) };
        },
      },
    },
  } as unknown as Parameters<typeof observePasswords>[0];
  return { observer, reads };
}

const published = (passwords: Awaited<ReturnType<typeof observePasswords>>) => ({
  ...emptyRuntime,
  declaration: { value: JSON.stringify(declarationFor(cluster, passwords.known)), modRevision: 1 },
});

test('verifiers, the same again, and nothing read that is published already', async () => {
  const stored = { ...own, login: { version: '3', data: { pw: 'secret\n' } } };
  const first = await observePasswords(observing(stored).observer, cluster, emptyRuntime, {});
  expect([...first.known.keys()].sort()).toEqual(['app', 'mainstay_replication', 'mainstay_rewind', 'shop']);
  expect(await matchesVerifier('secret', first.known.get('shop')?.verifier ?? '')).toBe(true);
  expect(JSON.stringify([...first.known])).not.toMatch(/secret|apple/);
  expect(first).toMatchObject({ staleApplicationSecret: false });
  expect(first.problems.size).toBe(0);
  expect(await observePasswords(observing(stored).observer, cluster, emptyRuntime, {})).toEqual(first);

  const steady = observing(stored);
  expect(await observePasswords(steady.observer, cluster, published(first), {})).toEqual(first);
  expect(steady.reads).toEqual([]);

  const changed = observing({ ...stored, login: { version: '4', data: { pw: 'other' } } });
  const next = await observePasswords(changed.observer, cluster, published(first), {});
  expect(changed.reads).toEqual(['login']);
  expect(await matchesVerifier('other', next.known.get('shop')?.verifier ?? '')).toBe(true);
  expect(next.known.get('app')).toEqual(first.known.get('app'));
});

test.each<[string, Stored | undefined, RegExp]>([
  ['that is not there', undefined, /^Secret login is not there: make it/],
  ['without the key', { version: '1', data: { password: 'x' } }, /has no pw: add it.*\(it has password\)/],
  ['with an md5 digest', { version: '1', data: { pw: `md5${'0'.repeat(32)}` } }, /holds an md5 digest/],
  ['of another user', { version: '1', data: { pw: 'x', username: 'bob' } }, /is for the user bob, not shop/],
  ['that not every driver can send', { version: '1', data: { pw: 'pässword' } }, /outside of ASCII/],
])('a Secret %s', async (_, login, problem) => {
  const { observer } = observing({ ...own, ...(login && { login }) });
  const { known, problems } = await observePasswords(observer, cluster, emptyRuntime, {});
  expect(problems.get('shop')).toMatch(problem);
  expect(known.has('shop')).toBe(false);
  expect(known.has('app')).toBe(true);
});

test('a verifier is taken as it is', async () => {
  const verifier =
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';
  expect(isVerifier(verifier)).toBe(true);
  expect(await matchesVerifier('pencil', verifier)).toBe(true);
  const { observer } = observing({ ...own, login: { version: '1', data: { pw: verifier } } });
  const { known } = await observePasswords(observer, cluster, emptyRuntime, {});
  expect(known.get('shop')?.verifier).toBe(verifier);
});

test('unknown is not absent: what was published stands', async () => {
  const stored = { ...own, login: { version: '3', data: { pw: 'secret' } } };
  const first = await observePasswords(observing(stored).observer, cluster, emptyRuntime, {});
  const { observer } = observing({ ...stored, login: { version: '9', data: {} } }, ['login']);
  const { known, problems } = await observePasswords(observer, cluster, published(first), {});
  expect(known.get('shop')).toEqual(first.known.get('shop'));
  expect(problems.size).toBe(0);
});

test('another password in the application’s Secret makes its addresses stale', async () => {
  const data = { ...own['orders-app']?.data, password: 'pear' };
  const { observer } = observing({ ...own, 'orders-app': { version: '9', data } });
  expect(await observePasswords(observer, cluster, emptyRuntime, {})).toMatchObject({ staleApplicationSecret: true });
});
