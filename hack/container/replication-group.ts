/** Members of a replication group with their agents, an etcd and an application, each in a container on one network. */
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterPrefix, type Definition, type Member } from '../../operator/api/cluster-state.ts';
import { parseView, type ClusterView } from '../../operator/ha/view.ts';
import { insideNode, insideRepository, startContainer, type Container } from './container.ts';
import type { MemberOptions } from './group-member.ts';
import { testNetwork } from './network.ts';
import type { Acknowledged, Question, Reply } from './onlooker.ts';

export interface ReplicationGroup {
  readonly names: readonly string[];
  /** Pulls a member's cable out; and back. */
  cut(name: string): void;
  mend(name: string): void;
  /** Starts the agent of a member, on its volume as it is. */
  start(name: string): Promise<void>;
  /** SIGKILL of its server alone, or of all that is in its container. */
  killServer(name: string): void;
  kill(name: string): Promise<void>;
  /** As Kubernetes ends a Pod. */
  end(name: string): Promise<void>;
  /** Its data are gone. */
  loseVolume(name: string): Promise<void>;
  sql(name: string, text: string, timeoutMs?: number): { readonly ok: boolean; readonly output: string };
  /** While others are asked as well. */
  sqlAsync(name: string, text: string): Promise<{ readonly ok: boolean; readonly output: string }>;
  view(): Promise<ClusterView>;
  members(): Promise<ReadonlyMap<string, Member>>;
  put(key: string, value: object): Promise<void>;
  withdraw(key: string): Promise<void>;
  /** HTTP status of its agent's answer; 0: none. */
  ask(name: string, what: string): Promise<number>;
  until(what: string, holds: () => boolean | Promise<boolean>, limitMs?: number): Promise<number>;
  /** An application that writes one row after the other, to whoever says that it is primary. */
  write(table: string): Promise<void>;
  stopWriting(): Promise<void>;
  readonly acknowledged: readonly Acknowledged[];
  /** What the agents have said, newest last. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  remove(): Promise<void>;
}

const user = 999;
const etcdAddress = '10.9.0.2';
export const applicationPassword = 'app-password';

export async function replicationGroup(
  root: string,
  etcdBinary: string,
  names: readonly string[],
  mode: NonNullable<Definition['group']>['mode'] = 'SinglePrimary',
): Promise<ReplicationGroup> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-group-'));
  const network = await testNetwork();
  const uid = randomUUID();
  const prefix = clusterPrefix({ namespace: 'test', name: 'g', uid });
  const address = (name: string): string => `10.9.0.${10 + names.indexOf(name)}`;
  const containers = new Map<string, Container>();
  const log: Readonly<Record<string, unknown>>[] = [];
  const acknowledged: Acknowledged[] = [];
  const url = `http://${etcdAddress}:2379`;

  const first = async (container: Container): Promise<number> => {
    for (;;) {
      const found = container.processes().find(({ innerPid }) => innerPid === 1);
      if (found) return found.pid;
      await sleep(10);
    }
  };
  const etcd = startContainer({
    ownNetwork: true,
    argv: [
      // It ends where it can't listen: only once it is plugged in.
      ...['bash', '-c', 'until ip -o link show lo up | grep -q lo; do sleep 0.05; done; exec "$@"', 'etcd'],
      ...[etcdBinary, `--data-dir=${path.join(folder, 'etcd')}`, '--listen-client-urls=http://0.0.0.0:2379'],
      ...[`--advertise-client-urls=${url}`, '--listen-peer-urls=http://127.0.0.1:2380', '--log-level=error'],
      '--unsafe-no-fsync',
    ],
  });
  const etcdProcess = await first(etcd);
  network.plug(etcdProcess, etcdAddress);
  const onlooker = spawn(
    'nsenter',
    [
      '--target',
      String(etcdProcess),
      '--net',
      process.execPath,
      '--no-warnings',
      path.join(import.meta.dirname, 'onlooker.ts'),
      url,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const replies = new Map<number, (reply: Extract<Reply, { readonly id: number }>) => void>();
  createInterface({ input: onlooker.stdout }).on('line', (line) => {
    const reply = JSON.parse(line) as Reply;
    if ('acknowledged' in reply) acknowledged.push(reply.acknowledged);
    else replies.get(reply.id)?.(reply);
  });
  let questions = 0;
  type Plain = Question extends infer One ? (One extends Question ? Omit<One, 'id'> : never) : never;
  const ask = async (question: Plain): Promise<unknown> => {
    const id = ++questions;
    const replied = new Promise<Extract<Reply, { readonly id: number }>>((resolve) => replies.set(id, resolve));
    onlooker.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
    const { value, error } = await replied;
    if (error !== undefined) throw new Error(error);
    return value;
  };
  const put = async (key: string, value: object): Promise<void> => {
    const outcome = await ask({ put: prefix + key, value: JSON.stringify(value) });
    if (outcome !== 'applied') throw new Error(`${key}: ${String(outcome)}`);
  };
  const volume = (name: string): string => path.join(folder, name);
  const container = (name: string): Container => {
    const found = containers.get(name);
    if (!found) throw new Error(`${name} does not run`);
    return found;
  };
  const start = async (name: string): Promise<void> => {
    await mkdir(volume(name), { recursive: true });
    await chown(volume(name), user, user);
    const options: MemberOptions = { instance: name, address: address(name), etcd: url, uid };
    const started = startContainer({
      root,
      user,
      ownNetwork: true,
      mounts: { [volume(name)]: '/var/lib/mainstay' },
      argv: [
        insideNode,
        '--no-warnings',
        `${insideRepository}/hack/container/group-member.ts`,
        JSON.stringify(options),
      ],
    });
    containers.set(name, started);
    createInterface({ input: started.child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      if (process.env['MAINSTAY_TEST_LOG']) process.stderr.write(`${line}\n`);
      if (line.startsWith('{')) log.push(JSON.parse(line) as Record<string, unknown>);
    });
    network.plug(await first(started), address(name));
  };
  const kill = async (name: string): Promise<void> => {
    await containers.get(name)?.kill();
    containers.delete(name);
    network.unplug(address(name));
  };
  const view = async (): Promise<ClusterView> => {
    const entries = (await ask({ read: prefix })) as Readonly<Record<string, string>>;
    return parseView(
      new Map(Object.entries(entries).map(([key, value]) => [key, { value, modRevision: 1, lease: '' }])),
      { revision: 1, clusterId: '' },
    );
  };
  const definition: Definition = {
    generation: 1,
    engine: 'mysql',
    version: '9.7',
    instances: names,
    durability: { mode: 'Strict', acknowledgements: Math.floor(names.length / 2) },
    parameters: { innodb_buffer_pool_size: '67108864' },
    application: { database: 'app', owner: 'app' },
    paused: false,
    group: { mode },
  };
  const inside = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const client = (name: string, text: string): readonly string[] => {
    const pid = container(name)
      .processes()
      .find(({ innerPid }) => innerPid === 1)?.pid;
    return [
      ...['--target', String(pid), '--mount', '--pid', '--net', '--root', '--wd=/'],
      ...['--setuid', String(user), '--setgid', String(user), '--'],
      ...['mysql', '--no-defaults', '-S', '/run/mainstay/mysqld.sock', '-u', 'root', '-N', '-B', '-e', text],
    ];
  };
  // etcd may not listen yet.
  for (let attempt = 1; ; attempt++)
    try {
      await put('definition', definition);
      break;
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(200);
    }

  return {
    names,
    cut: (name) => network.cut(address(name)),
    mend: (name) => network.mend(address(name)),
    start,
    kill,
    killServer: (name) => {
      for (const { pid, command } of container(name).processes())
        if (command.startsWith('/usr/sbin/mysqld')) process.kill(pid, 'SIGKILL');
    },
    end: async (name) => {
      const { child } = container(name);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      process.kill(await first(container(name)), 'SIGTERM');
      await ended;
      containers.delete(name);
      network.unplug(address(name));
    },
    loseVolume: async (name) => {
      await kill(name);
      await rm(volume(name), { recursive: true });
    },
    sql: (name, text, timeout = 30_000) => {
      const done = spawnSync('nsenter', client(name, text), {
        encoding: 'utf8',
        timeout,
        killSignal: 'SIGKILL',
        env: inside,
      });
      return { ok: done.status === 0, output: (done.stdout + done.stderr).trim() };
    },
    sqlAsync: async (name, text) => {
      const child = spawn('nsenter', client(name, text), { stdio: ['ignore', 'pipe', 'pipe'], env: inside });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data: Buffer) => (output += data.toString()));
      const code = await new Promise((resolve) => child.once('close', resolve));
      return { ok: code === 0, output: output.trim() };
    },
    view,
    members: async () => (await view()).members,
    put,
    withdraw: async (key) => {
      await ask({ remove: prefix + key });
    },
    ask: async (name, what) => Number(await ask({ ask: `http://${address(name)}:8008${what}` })),
    until: async (what, holds, limitMs = 120_000) => {
      const begun = performance.now();
      while (!(await holds())) {
        if (performance.now() - begun > limitMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
        await sleep(100);
      }
      return performance.now() - begun;
    },
    write: async (table) => {
      await ask({ write: names.map(address), table, password: applicationPassword });
    },
    stopWriting: async () => {
      await ask({ stop: true });
    },
    acknowledged,
    log,
    remove: async () => {
      onlooker.kill('SIGKILL');
      await Promise.all([...containers.keys()].map(kill));
      await etcd.kill();
      await network.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
