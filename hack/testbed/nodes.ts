/** The nodes of the cluster: their power and cables (local ones only), drains. */
import path from 'node:path';
import process from 'node:process';
import { repository, type ClusterAccess } from './cluster-access.ts';
import { run, type Finished } from './command.ts';
import { agentOf, signalTo } from './pod-processes.ts';

export interface Nodes {
  readonly names: () => Promise<readonly string[]>;
  /** Kills everything on the node at once; resolves when nothing of it runs. */
  readonly powerOff: (node: string) => Promise<string>;
  readonly powerOn: (node: string) => Promise<void>;
  /** Cuts the node from everything (other nodes, the API server, DNS), or from some nodes only. */
  readonly cutOff: (node: string, from?: readonly string[]) => Promise<void>;
  /** Ends all cuts. */
  readonly heal: () => Promise<void>;
  /** Kills the API server. */
  readonly stopApi: () => Promise<void>;
  readonly startApi: () => Promise<void>;
  readonly drain: (node: string, timeoutSeconds: number) => Promise<Finished>;
  readonly cordon: (node: string) => Promise<void>;
  readonly uncordon: (node: string) => Promise<void>;
  /** SIGKILL to the Pod's agent, from outside: no process of the Pod has a hand in it. */
  readonly killAgent: (podUid: string) => Promise<void>;
  /** SIGSTOP to the Pod's agent; the returned function lets it go on, if it is still there. */
  readonly stopAgent: (podUid: string) => Promise<() => void>;
  /** Switches on, reconnects and uncordons whatever this object switched off, cut off, cordoned or drained. */
  readonly restore: () => Promise<void>;
}

export function nodesOf(access: ClusterAccess, signal?: AbortSignal): Nodes {
  const off = new Set<string>();
  const cordoned = new Set<string>();
  let isCut = false;
  let apiIsStopped = false;
  const cluster = async (...args: readonly string[]): Promise<void> => {
    if (access.kind === 'own')
      throw new Error(`hack/cluster ${args.join(' ')}: only the local cluster’s nodes can be switched`);
    await run(process.execPath, [path.join(repository, 'hack/cluster/main.ts'), ...args], { timeoutMs: 120_000 });
  };
  const nodes: Nodes = {
    names: async () =>
      (await access.kubectl(['get', 'nodes', '--output', 'jsonpath={.items[*].metadata.name}'], { signal }))
        .split(' ')
        .toSorted(),
    powerOff: async (node) => {
      off.add(node);
      await cluster('poweroff', node);
      return node;
    },
    powerOn: async (node) => {
      await cluster('poweron', node);
      off.delete(node);
    },
    cutOff: async (node, from = []) => {
      isCut = true;
      await cluster('partition', node, ...(from.length === 0 ? [] : ['from', ...from]));
    },
    heal: async () => {
      await cluster('heal');
      isCut = false;
    },
    stopApi: async () => {
      apiIsStopped = true;
      await cluster('api', 'stop');
    },
    startApi: async () => {
      await cluster('api', 'start');
      apiIsStopped = false;
    },
    drain: async (node, timeoutSeconds) => {
      cordoned.add(node);
      return access.tryKubectl(
        ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', `--timeout=${timeoutSeconds}s`],
        { signal, timeoutMs: (timeoutSeconds + 10) * 1_000 },
      );
    },
    cordon: async (node) => {
      cordoned.add(node);
      await access.kubectl(['cordon', node]);
    },
    uncordon: async (node) => {
      await access.kubectl(['uncordon', node]);
      cordoned.delete(node);
    },
    killAgent: async (podUid) => {
      signalTo([await agentOf(podUid)], 'SIGKILL');
    },
    stopAgent: async (podUid) => {
      const agent = await agentOf(podUid);
      signalTo([agent], 'SIGSTOP');
      return () => signalTo([agent], 'SIGCONT');
    },
    restore: async () => {
      if (apiIsStopped) await nodes.startApi();
      if (isCut) await nodes.heal();
      for (const node of off) await nodes.powerOn(node);
      for (const node of cordoned) await nodes.uncordon(node);
    },
  };
  return nodes;
}
