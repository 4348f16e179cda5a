/** A real etcd cluster on loopback, for tests. */
import { spawn, type ChildProcess } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { Agent, request } from 'undici';

import { systemClock } from '../platform/clock.ts';
import { rangeOf } from './etcd-messages.ts';
import type { Pair } from './local-certificates.ts';

export interface LocalEtcd {
  readonly members: readonly LocalMember[];
  readonly urls: readonly string[];
  /** Index of the leading member, as the first reachable one sees it. */
  leader(): Promise<number>;
  readonly compact: (revision: number) => Promise<void>;
  /** Shown by all members at their next handshake. */
  presentCertificate(pair: Pair): Promise<void>;
  /** From now on nobody gets in without a login; our own calls are made as root. */
  enableAuthentication(rootPassword: string): Promise<void>;
  /** One who may read and write under a prefix, and nothing else. */
  addUser(user: string, password: string, prefix: string): Promise<void>;
  changePassword(user: string, password: string): Promise<void>;
  readonly stop: () => Promise<void>;
}

/** With it, etcd speaks https only, and only to clients of the same authority unless `anyClient`. */
export interface LocalTls extends Pair {
  readonly ca: string;
  /** For our own calls. */
  readonly client: Pair;
  readonly anyClient?: boolean;
}

export interface LocalMember {
  readonly url: string;
  readonly port: number;
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Again on the same data, after a SIGKILL. */
  restart(): Promise<void>;
}

/** Where the test binary is; undefined if there is none and nothing demands it. Throws if something does. */
export async function findEtcdBinary(): Promise<string | undefined> {
  const cache = process.env['MAINSTAY_CACHE'] ?? join(homedir(), '.cache', 'mainstay');
  const path = process.env['MAINSTAY_ETCD_BINARY'] ?? join(cache, 'bin', 'etcd');
  const found = await access(path).then(
    () => true,
    () => false,
  );
  if (found) return path;
  if (process.env['CI'] || process.env['MAINSTAY_REQUIRE_ETCD']) {
    throw new Error(
      `No etcd binary at ${path}. Set MAINSTAY_ETCD_BINARY to one; these tests must not be skipped here.`,
    );
  }
  return undefined;
}

export async function startEtcd(
  binary: string,
  options: { readonly size: number; readonly tls?: LocalTls; readonly flags?: readonly string[] },
): Promise<LocalEtcd> {
  const root = await mkdtemp(join(tmpdir(), 'mainstay-etcd-'));
  const { tls } = options;
  const scheme = tls ? 'https' : 'http';
  const files = { ca: join(root, 'ca.crt'), cert: join(root, 'tls.crt'), key: join(root, 'tls.key') };
  const presentCertificate = async ({ cert, key }: Pair): Promise<void> => {
    await Promise.all([writeFile(files.cert, cert), writeFile(files.key, key)]);
  };
  if (tls) await Promise.all([writeFile(files.ca, tls.ca), presentCertificate(tls)]);
  const ports = await freePorts(options.size * 3);
  const plan = Array.from({ length: options.size }, (_, index) => ({
    name: `m${index}`,
    port: ports[index * 3] ?? 0,
    client: `${scheme}://127.0.0.1:${ports[index * 3] ?? 0}`,
    peer: `http://127.0.0.1:${ports[index * 3 + 1] ?? 0}`,
    // Plain, so that health can be asked whatever the clients must show.
    metrics: `http://127.0.0.1:${ports[index * 3 + 2] ?? 0}`,
  }));
  const running = new Map<string, ChildProcess>();

  const start = (member: (typeof plan)[number]): void => {
    const flags = {
      name: member.name,
      'data-dir': join(root, member.name),
      'listen-client-urls': member.client,
      'advertise-client-urls': member.client,
      'listen-peer-urls': member.peer,
      'initial-advertise-peer-urls': member.peer,
      'initial-cluster': plan.map(({ name, peer }) => `${name}=${peer}`).join(','),
      'listen-metrics-urls': member.metrics,
      ...(tls && {
        'cert-file': files.cert,
        'key-file': files.key,
        // An authority for clients alone makes etcd ask for their certificates.
        ...(!tls.anyClient && { 'trusted-ca-file': files.ca, 'client-cert-auth': 'true' }),
      }),
      'bcrypt-cost': '4',
      'heartbeat-interval': '50',
      'election-timeout': '500',
      'log-level': 'error',
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(binary, [...args, '--unsafe-no-fsync', ...(options.flags ?? [])], { stdio: 'ignore' });
    child.on('error', () => undefined);
    running.set(member.name, child);
  };
  const healthy = (member: (typeof plan)[number]): Promise<void> =>
    until(`etcd member ${member.name}`, () => isHealthy(member.metrics));

  const dispatcher = new Agent(tls ? { connect: { ca: tls.ca, ...tls.client } } : {});
  let rootPassword: string | undefined;
  const post = async (url: string, path: string, body: object): Promise<unknown> => {
    const send = async (to: string, what: object, headers: Record<string, string> = {}): Promise<unknown> => {
      const limits = { signal: AbortSignal.timeout(1_000), dispatcher };
      const reply = await request(`${url}/v3/${to}`, {
        method: 'POST',
        body: JSON.stringify(what),
        headers,
        ...limits,
      });
      const text = await reply.body.text();
      if (reply.statusCode !== 200) throw new Error(`${to}: ${text}`);
      return JSON.parse(text);
    };
    if (rootPassword === undefined) return send(path, body);
    const { token } = (await send('auth/authenticate', { name: 'root', password: rootPassword })) as { token: string };
    return send(path, body, { authorization: token });
  };
  const first = plan[0]?.client ?? '';
  const status = async (url: string): Promise<Status | undefined> => {
    try {
      return (await post(url, 'maintenance/status', {})) as Status;
    } catch {
      return undefined;
    }
  };

  plan.forEach(start);
  await Promise.all(plan.map(healthy));
  return {
    urls: plan.map(({ client }) => client),
    members: plan.map((member) => ({
      url: member.client,
      port: member.port,
      signal: (signal) => void running.get(member.name)?.kill(signal),
      restart: async () => {
        await ended(running.get(member.name));
        start(member);
        await healthy(member);
      },
    })),
    leader: async () => {
      let leader = -1;
      await until('a leader of etcd', async () => {
        const all = await Promise.all(plan.map(({ client }) => status(client)));
        leader = all.findIndex((one) => one !== undefined && one.leader === one.header.member_id);
        return leader >= 0;
      });
      return leader;
    },
    compact: async (revision) => {
      await post(first, 'kv/compaction', { revision: String(revision) });
    },
    presentCertificate,
    enableAuthentication: async (password) => {
      await post(first, 'auth/user/add', { name: 'root', password });
      await post(first, 'auth/role/add', { name: 'root' });
      await post(first, 'auth/user/grant', { user: 'root', role: 'root' });
      await post(first, 'auth/enable', {});
      rootPassword = password;
    },
    addUser: async (name, password, prefix) => {
      const perm = { permType: 'READWRITE', ...rangeOf(prefix) };
      await post(first, 'auth/user/add', { name, password });
      await post(first, 'auth/role/add', { name });
      await post(first, 'auth/role/grant', { name, perm });
      await post(first, 'auth/user/grant', { user: name, role: name });
    },
    changePassword: async (name, password) => {
      await post(first, 'auth/user/changepw', { name, password });
      if (name === 'root') rootPassword = password;
    },
    stop: async () => {
      for (const child of running.values()) child.kill('SIGKILL');
      await Promise.all([...running.values()].map(ended));
      await dispatcher.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader: string;
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  await new Promise((resolve) => child.once('exit', resolve));
}

/** Free a moment ago; good enough on loopback. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = systemClock.now() + 15_000;
  while (!(await holds())) {
    if (systemClock.now() > end) throw new Error(`waited 15 s for ${what}`);
    await systemClock.sleep(50);
  }
}
