/** The nodes of the cluster: their power (local ones only), drains, and the processes of a Pod seen from outside. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { repository, type ClusterAccess } from './cluster-access.ts';
import { run, type Finished } from './command.ts';

export interface Nodes {
  readonly names: () => Promise<readonly string[]>;
  /** Kills everything on the node at once; resolves when nothing of it runs. */
  readonly powerOff: (node: string) => Promise<string>;
  readonly powerOn: (node: string) => Promise<void>;
  readonly drain: (node: string, timeoutSeconds: number) => Promise<Finished>;
  readonly uncordon: (node: string) => Promise<void>;
  /** SIGKILL to PID 1 of the Pod's container that runs `program`: from inside, the kernel wouldn't allow it. */
  readonly killContainer: (podUid: string, program: string) => Promise<void>;
  /** Switches on and uncordons whatever this object switched off or drained. */
  readonly restore: () => Promise<void>;
}

export function nodesOf(access: ClusterAccess, signal?: AbortSignal): Nodes {
  const off = new Set<string>();
  const drained = new Set<string>();
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
    drain: async (node, timeoutSeconds) => {
      drained.add(node);
      return access.tryKubectl(
        ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', `--timeout=${timeoutSeconds}s`],
        { signal, timeoutMs: (timeoutSeconds + 10) * 1_000 },
      );
    },
    uncordon: async (node) => {
      await access.kubectl(['uncordon', node]);
      drained.delete(node);
    },
    killContainer: async (podUid, program) => {
      const pid = await firstProcess(podUid, program);
      process.kill(pid, 'SIGKILL');
    },
    restore: async () => {
      for (const node of off) await nodes.powerOn(node);
      for (const node of drained) await nodes.uncordon(node);
    },
  };
  return nodes;
}

/** Local nodes share this machine's PID namespace: a Pod's processes are those whose cgroup carries its UID. */
async function firstProcess(podUid: string, program: string): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const ofPod = [podUid, podUid.replaceAll('-', '_')];
    const cgroup = await read('cgroup');
    if (!ofPod.some((uid) => cgroup.includes(uid))) continue;
    const innermost = /^NSpid:.*\s(\d+)$/m.exec(await read('status'))?.[1];
    if (innermost === '1' && (await read('cmdline')).includes(program)) return Number(pid);
  }
  throw new Error(`no PID 1 of Pod ${podUid} runs ${program} on this machine`);
}
