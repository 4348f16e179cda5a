/** A real etcd cluster on loopback, for tests. */
import { spawn, type ChildProcess } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { systemClock } from '../platform/clock.ts';

export interface LocalEtcd {
  readonly members: readonly LocalMember[];
  readonly urls: readonly string[];
  /** Index of the leading member, as the first reachable one sees it. */
  leader(): Promise<number>;
  readonly compact: (revision: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface LocalMember {
  readonly url: string;
  readonly port: number;
  readonly dataDirectory: string;
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
  options: { readonly size: number; readonly scheme?: 'http' | 'https'; readonly flags?: readonly string[] },
): Promise<LocalEtcd> {
  const scheme = options.scheme ?? 'http';
  const root = await mkdtemp(join(tmpdir(), 'mainstay-etcd-'));
  const ports = await freePorts(options.size * 2);
  const plan = Array.from({ length: options.size }, (_, index) => ({
    name: `m${index}`,
    port: ports[index * 2] ?? 0,
    client: `${scheme}://127.0.0.1:${ports[index * 2] ?? 0}`,
    peer: `http://127.0.0.1:${ports[index * 2 + 1] ?? 0}`,
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
      'heartbeat-interval': '50',
      'election-timeout': '500',
      'log-level': 'error',
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(binary, [...args, '--unsafe-no-fsync', ...(options.flags ?? [])], { stdio: 'ignore' });
    child.on('error', () => undefined);
    running.set(member.name, child);
  };
  const healthy = async (port: number): Promise<void> => {
    await until(`etcd on port ${port}`, () => (scheme === 'http' ? isHealthy(port) : accepts(port)));
  };

  plan.forEach(start);
  await Promise.all(plan.map(({ port }) => healthy(port)));
  return {
    urls: plan.map(({ client }) => client),
    members: plan.map((member) => ({
      url: member.client,
      port: member.port,
      dataDirectory: join(root, member.name),
      signal: (signal) => void running.get(member.name)?.kill(signal),
      restart: async () => {
        await ended(running.get(member.name));
        start(member);
        await healthy(member.port);
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
      await post(`${plan[0]?.client ?? ''}/v3/kv/compaction`, { revision: String(revision) });
    },
    stop: async () => {
      for (const child of running.values()) child.kill('SIGKILL');
      await Promise.all([...running.values()].map(ended));
      await rm(root, { recursive: true, force: true });
    },
  };
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader: string;
}

async function status(url: string): Promise<Status | undefined> {
  try {
    return (await post(`${url}/v3/maintenance/status`, {})) as Status;
  } catch {
    return undefined;
  }
}

async function post(url: string, body: object): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(1000) });
  if (!response.ok) throw new Error(`${url}: ${await response.text()}`);
  return response.json();
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

/** Over https the certificate is the tests' business; that something listens is enough. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  await new Promise((resolve) => child.once('exit', resolve));
}

async function freePorts(count: number): Promise<readonly number[]> {
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
