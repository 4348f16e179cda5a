/**
 * Three nodes with a network each, and on each a member of etcd and an instance: an agent of one system with its database. A node
 * that is lost takes its member of etcd with it.
 */
import { createWriteStream, rmSync, writeFileSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startContainer, type Container, type ContainerProcess } from '../../container/container.ts';
import { emptyNetwork, type TestNetwork } from '../../container/network.ts';
import { etcdMembersAt, type EtcdAddress, type EtcdMembers } from '../../testbed/etcd-members.ts';
import { notYet, seconds, until, yes, type Seen } from '../../testbed/until.ts';

/** What is compared: agents that keep three databases one, however they do it. */
export interface System {
  readonly name: 'Mainstay' | 'Patroni';
  readonly settings: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: string;
  /** Makes what the instance needs on its node, and tells what to run there. */
  readonly prepare: (node: NodeAddress, folder: string) => Promise<InstanceProgram>;
  /** Once after the first start: whatever makes three instances one cluster that the client may use. */
  readonly found: (signal: AbortSignal) => Promise<void>;
  readonly isAgent: (process: ContainerProcess) => boolean;
  /** Name of the node whose instance leads, by etcd's word. */
  readonly primary: () => Promise<string | undefined>;
  /** Whether every instance does what it is there for. */
  readonly whole: () => Promise<Seen<undefined>>;
  readonly switchover: (from: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface NodeAddress {
  readonly name: string;
  readonly address: string;
}

export interface InstanceProgram {
  readonly mounts: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
}

export interface SiteNode extends NodeAddress {
  readonly powerOff: () => Promise<void>;
  readonly powerOn: () => void;
  /** From everybody, without a word to anybody. */
  readonly cutOff: () => void;
  readonly reconnect: () => void;
  /** Whether an agent that has ended is started again. */
  readonly supervise: (restarts: boolean) => void;
  readonly killAgent: () => void;
  readonly signalDatabase: (signal: NodeJS.Signals, which: 'postmaster' | 'all') => readonly number[];
  readonly signal: (pids: readonly number[], signal: NodeJS.Signals) => void;
  /** All that runs for the instance and is not the database. */
  readonly companions: () => readonly ContainerProcess[];
}

export interface Site {
  readonly system: System;
  readonly nodes: readonly SiteNode[];
  readonly etcd: EtcdMembers<EtcdAddress>;
  readonly signal: AbortSignal;
  readonly signalEtcd: (signal: NodeJS.Signals) => void;
  readonly primary: () => Promise<SiteNode>;
  /** All instances and members of etcd are there, and would survive the loss of one. */
  readonly whole: (within: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface SiteOptions {
  /** First of its addresses, 10.9.0.x. */
  readonly base: number;
  readonly folder: string;
  readonly root: string;
  readonly etcdProgram: string;
  readonly network: TestNetwork;
  readonly signal: AbortSignal;
}

const user = 999;
const names = ['a', 'b', 'c'] as const;
/** systemd's default for a unit that is restarted. */
const restartAfterMs = 100;
const foundedMs = seconds(240);

export const nodeAddresses = (base: number): readonly NodeAddress[] =>
  names.map((name, index) => ({ name, address: `10.9.0.${base + index}` }));

export const etcdUrls = (base: number): readonly string[] =>
  nodeAddresses(base).map(({ address }) => `http://${address}:2379`);

export async function openSite(system: System, options: SiteOptions): Promise<Site> {
  const { base, signal } = options;
  const addresses = nodeAddresses(base);
  const nodes: Machine[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.remove()));
    await system.close();
  };
  try {
    for (const address of addresses) nodes.push(await machine(system, address, addresses, options));
    for (const node of nodes) node.powerOn();
    const etcd = etcdMembersAt(
      addresses.map(({ name, address }) => ({
        node: name,
        url: `http://${address}:2379`,
        metricsUrl: `http://${address}:2379/metrics`,
      })),
    );
    await until('etcd', async () => yes(await etcd.leader()), { within: seconds(30), signal });
    await system.found(signal);
    const site: Site = {
      system,
      nodes,
      etcd,
      signal,
      signalEtcd: (which) => {
        for (const node of nodes) node.signal(node.etcdPids(), which);
      },
      primary: async () => {
        const name = await system.primary();
        const node = nodes.find((one) => one.name === name);
        if (node === undefined) throw new Error(`${system.name} has no primary`);
        return node;
      },
      whole: async (within) => {
        await until(
          `${system.name} (${system.settings}) whole`,
          async () => {
            // Each member answers, not only one of them.
            await Promise.all([etcd.leader(), etcd.requests()]);
            return system.whole();
          },
          { within, signal, everyMs: 100 },
        );
      },
      close,
    };
    await site.whole(foundedMs);
    return site;
  } catch (error) {
    await close();
    throw error;
  }
}

interface Machine extends SiteNode {
  readonly etcdPids: () => readonly number[];
  readonly remove: () => Promise<void>;
}

async function machine(
  system: System,
  { name, address }: NodeAddress,
  all: readonly NodeAddress[],
  { folder, root, etcdProgram, network }: SiteOptions,
): Promise<Machine> {
  const own = path.join(folder, name);
  const volume = path.join(own, 'volume');
  await mkdir(volume, { recursive: true });
  await chown(volume, user, user);
  const { mounts, argv } = await system.prepare({ name, address }, own);
  const cable = await emptyNetwork();
  network.plug(cable.pid, address);
  const noRestarts = path.join(volume, unsupervised);

  let powered = false;
  let supervised = true;
  let etcd: Container | undefined;
  let instance: Container | undefined;
  const keepLog = (container: Container, file: string): void => {
    const log = createWriteStream(path.join(own, file), { flags: 'a' });
    container.child.stdout?.pipe(log, { end: false });
    container.child.stderr?.pipe(log, { end: false });
  };
  const startEtcd = (): void => {
    etcd = startContainer({ networkOf: cable.pid, argv: [etcdProgram, ...etcdFlags(name, own, all)] });
    keepLog(etcd, 'etcd.log');
  };
  const startInstance = (): void => {
    const started = startContainer({
      root,
      user,
      networkOf: cable.pid,
      mounts: { [volume]: '/var/lib/mainstay', ...mounts },
      argv,
    });
    instance = started;
    keepLog(started, 'instance.log');
    started.child.once('exit', () => {
      if (instance !== started) return;
      instance = undefined;
      setTimeout(() => {
        if (powered && supervised && instance === undefined) startInstance();
      }, restartAfterMs);
    });
  };
  const send = (pids: readonly number[], signal: NodeJS.Signals): void => {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        // What has ended meanwhile needs no signal.
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    }
  };
  const processes = (): readonly ContainerProcess[] => instance?.processes() ?? [];
  const database = (): readonly ContainerProcess[] =>
    processes()
      .filter(isDatabase)
      .toSorted((a, b) => Number(isPostmaster(b)) - Number(isPostmaster(a)));
  const killAll = async (): Promise<void> => {
    const running = [etcd, instance].filter((one) => one !== undefined);
    powered = false;
    etcd = undefined;
    instance = undefined;
    await Promise.all(running.map((one) => one.kill()));
  };
  const known = (pids: readonly number[], what: string): readonly number[] => {
    if (pids.length === 0) throw new Error(`no ${what} runs on node ${name}`);
    return pids;
  };

  return {
    name,
    address,
    powerOff: async () => {
      // First: what dies of a power cut says goodbye to nobody.
      network.cut(address);
      await killAll();
    },
    powerOn: () => {
      powered = true;
      network.mend(address);
      startEtcd();
      startInstance();
    },
    cutOff: () => network.cut(address),
    reconnect: () => network.mend(address),
    supervise: (restarts) => {
      supervised = restarts;
      if (!restarts) writeFileSync(noRestarts, '');
      else rmSync(noRestarts, { force: true });
      if (restarts && powered && instance === undefined) startInstance();
    },
    killAgent: () =>
      send(
        known(
          processes()
            .filter(system.isAgent)
            .map(({ pid }) => pid),
          'agent',
        ),
        'SIGKILL',
      ),
    signalDatabase: (signal, which) => {
      const found = database().map(({ pid }) => pid);
      const pids = known(which === 'all' ? found : found.slice(0, 1), 'database');
      send(pids, signal);
      return pids;
    },
    signal: send,
    companions: () => processes().filter((one) => !isDatabase(one)),
    etcdPids: () => etcd?.processes().map(({ pid }) => pid) ?? [],
    remove: async () => {
      await killAll();
      await cable.remove();
      // A process that was killed a moment ago may still have a file there.
      await delay(restartAfterMs);
    },
  };
}

/** A file in the volume: tells the supervisor in a container, where there is one, not to start the agent again. */
export const unsupervised = 'unsupervised';

/** Not the one that only looks through a configuration. */
const isPostmaster = ({ command }: ContainerProcess): boolean =>
  /^\S*\/bin\/postgres .*-D/.test(command) && !command.includes(' -C ');
const isDatabase = (one: ContainerProcess): boolean => isPostmaster(one) || one.command.startsWith('postgres: ');

/** As the chart sets it up (charts/mainstay), without TLS. */
function etcdFlags(name: string, folder: string, all: readonly NodeAddress[]): readonly string[] {
  const own = all.find((one) => one.name === name)?.address ?? '';
  const flags = {
    name,
    'data-dir': path.join(folder, 'etcd'),
    'listen-client-urls': 'http://0.0.0.0:2379',
    'advertise-client-urls': `http://${own}:2379`,
    'listen-peer-urls': 'http://0.0.0.0:2380',
    'initial-advertise-peer-urls': `http://${own}:2380`,
    'initial-cluster': all.map((one) => `${one.name}=http://${one.address}:2380`).join(','),
    'heartbeat-interval': '100',
    'election-timeout': '1000',
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '1h',
    'log-level': 'warn',
  };
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
}

export const isWhole = (missing: readonly string[]): Seen<undefined> =>
  missing.length === 0 ? yes(undefined) : notYet(missing.join('; '));
