/** Words among agents over TLS: who is heard, by what certificate, and what a renewal or an older agent changes. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect as connectPlainly, createServer } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import { Registry } from 'prom-client';
import type { Member } from '../api/cluster-state.ts';
import type { KeyPair } from '../certificates/authority.ts';
import { systemClock } from '../platform/clock.ts';
import { createLogger } from '../platform/log.ts';
import type { PledgeQuery } from './heartbeat.ts';
import { serveHttp, type Answers, type HttpServer } from './http.ts';
import { agentPair, mounted, newAuthority, type Mounted } from './local-identity.ts';
import { identityIn, type IdentitySource } from './peer-credentials.ts';
import { startWatching, type Watching } from './watching.ts';

const log = createLogger('test');
log.level = 'silent';

const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

let [authority, pair] = [{} as KeyPair, {} as KeyPair];
let primary: { readonly server: HttpServer; readonly mount: Mounted };
/** What the primary was asked. */
let heard: { readonly pledge: PledgeQuery | undefined; readonly isPeer: boolean }[] = [];

const answers = {
  health: () => ({ instance: 'orders-1', role: 'primary', state: 'primary', epoch: 3, because: 'all is well' }),
  heartbeat: (pledge, isPeer) => {
    heard.push({ pledge, isPeer });
    return isPeer ? { instance: 'orders-1', epoch: 3, leading: true, stamp: 's/1' } : undefined;
  },
  servesAsPrimary: () => true,
} as Partial<Answers> as Answers;

async function newMount(of: KeyPair, trusted: readonly KeyPair[]): Promise<Mounted> {
  const mount = await mounted();
  ended.push(() => mount.remove());
  await mount.renew(of, trusted);
  return mount;
}

const identityOf = ({ directory }: Mounted): IdentitySource => identityIn(directory, systemClock, log);

beforeEach(async () => {
  heard = [];
  authority = await newAuthority();
  pair = await agentPair(authority);
  const mount = await newMount(pair, [authority]);
  const server = await serveHttp(0, answers, new Registry(), identityOf(mount));
  ended.push(() => server.close());
  primary = { server, mount };
});

interface Answer {
  /** 0: no answer. */
  readonly status: number;
  readonly isResumed: boolean;
  readonly session: Buffer | undefined;
}

/** One question over a connection of its own. */
async function askOverTls(options: ConnectionOptions, path = '/heartbeat'): Promise<Answer> {
  const socket = connect({ port: primary.server.port, rejectUnauthorized: false, ...options });
  let [text, session, isResumed]: [string, Buffer | undefined, boolean] = ['', undefined, false];
  socket.on('data', (data: Buffer) => (text += data.toString())).on('session', (given: Buffer) => (session = given));
  socket.on('error', () => undefined).once('secureConnect', () => (isResumed = socket.isSessionReused()));
  socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), isResumed, session };
}

const shows = (of: KeyPair): ConnectionOptions => ({ cert: of.certificate, key: of.key });

describe('who is heard', () => {
  test('an agent of the cluster, also in a session that it resumes', async () => {
    const first = await askOverTls(shows(pair));
    expect(first).toMatchObject({ status: 200, isResumed: false });
    const second = await askOverTls({ ...shows(pair), ...(first.session && { session: first.session }) });
    expect(second).toMatchObject({ status: 200, isResumed: true });
    expect(heard.map(({ isPeer }) => isPeer)).toEqual([true, true]);
  });

  test('nobody else', async () => {
    const stranger = await newAuthority();
    expect(await askOverTls({})).toMatchObject({ status: 0 });
    expect(await askOverTls(shows(await agentPair(stranger)))).toMatchObject({ status: 0 });
    // By the same authority, for another cluster.
    expect(await askOverTls(shows(await agentPair(authority, 'mainstay-agent-invoices')))).toMatchObject({
      status: 403,
    });
    expect(await askOverTls({ ...shows(pair), maxVersion: 'TLSv1.2' })).toMatchObject({ status: 0 });
    expect(heard).toEqual([]);
  });

  test('without TLS one may look, and is told apart from an agent', async () => {
    const get = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${primary.server.port}${path}`)).status;
    expect([await get('/primary'), await get('/heartbeat')]).toEqual([200, 403]);
    expect(heard).toEqual([{ pledge: undefined, isPeer: false }]);
  });

  test('a connection that says nothing keeps nobody else from being heard', async () => {
    const silent = connectPlainly(primary.server.port, '127.0.0.1');
    ended.push(() => void silent.destroy());
    await once(silent, 'connect');
    expect(await askOverTls(shows(pair))).toMatchObject({ status: 200 });
  });
});

function replica(at: Partial<Member>, identity: IdentitySource): Watching {
  const watching = startWatching(
    { agentTls: true, ...at },
    { identity, word: { instance: 'orders-2', incarnation: 'i', epoch: 3 } },
  );
  ended.push(() => watching.end());
  return watching;
}

test('a replica asks by TLS, and gives its word', async () => {
  const { told } = replica({ agentPort: primary.server.port }, identityOf(primary.mount));
  while (heard.length < 3) await told((lost) => !lost);
  expect(heard.every(({ isPeer }) => isPeer)).toBe(true);
  expect(heard.at(-1)?.pledge).toMatchObject({ instance: 'orders-2', stamp: 's/1' });
});

test('a handshake that hangs is silence, and has no more time than that', async () => {
  const deaf = createServer(() => undefined).listen(0, '127.0.0.1');
  ended.push(() => void deaf.close());
  const sockets: { destroy(): unknown }[] = [];
  deaf.on('connection', (socket) => sockets.push(socket));
  ended.push(() => sockets.forEach((socket) => socket.destroy()));
  await once(deaf, 'listening');
  const { port } = deaf.address() as { readonly port: number };
  const { took } = await replica({ agentPort: port }, identityOf(primary.mount)).told((lost) => lost);
  expect(took).toBeGreaterThan(1200);
  expect(took).toBeLessThan(5000);
});

test('another cluster’s certificate at the primary’s address gets no word, and the reason is told', async () => {
  const mount = await newMount(await agentPair(authority, 'mainstay-agent-invoices'), [authority]);
  const { told } = replica({ agentPort: primary.server.port }, identityOf(mount));
  // On a slow machine some questions come to nothing before the certificate is seen.
  await told((_, why) => /shows the certificate of mainstay-agent-orders/.test(why ?? ''));
  await told((lost) => lost);
  expect(heard).toEqual([]);
});

test('authority and certificates are replaced under a running pair, without a handshake that fails', async () => {
  const mount = await newMount(pair, [authority]);
  const { told } = replica({ agentPort: primary.server.port }, identityOf(mount));
  await told((lost) => !lost);
  const next = await newAuthority();
  const renewed = await agentPair(next);
  const troubles = new Set<string | undefined>();
  // As the operator does it: trusted by all, then used, then the former one forgotten; each mount in its own time.
  for (const [of, trusted] of [
    [pair, [authority, next]],
    [renewed, [authority, next]],
    [renewed, [next]],
  ] as const)
    for (const one of [mount, primary.mount]) {
      await one.renew(of, trusted);
      const enough = heard.length + 2;
      while (heard.length < enough)
        await told((_, why) => {
          troubles.add(why);
          return true;
        });
    }
  // A machine may be slow, and a certificate never wrong.
  expect([...troubles].filter((why) => why !== undefined && !/time/i.test(why))).toEqual([]);
  expect(await askOverTls(shows(pair))).toMatchObject({ status: 0 });
  expect(await askOverTls(shows(renewed))).toMatchObject({ status: 200 });
});

describe('what is in the mount', () => {
  test('files that can’t be used don’t take the place of those that can', async () => {
    const mount = await newMount(pair, [authority]);
    const identity = identityOf(mount);
    const before = identity();
    expect(before?.name).toBe('mainstay-agent-orders');
    await mount.renew({ certificate: pair.certificate, key: (await agentPair(authority)).key }, [authority]);
    expect(identity()).toBe(before);
    await mount.renew({ certificate: 'nonsense', key: '' }, []);
    expect(identity()).toBe(before);
  });

  test('a certificate that has ended is none', async () => {
    const now = systemClock.wall().getTime();
    const past = { from: now - 10_000, to: now - 1_000 };
    const mount = await newMount(await agentPair(authority, undefined, past), [authority]);
    expect(identityOf(mount)()).toBeUndefined();
  });
});
