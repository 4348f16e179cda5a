/** Removes everything that any run of the cluster may have made, and counts what is left. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { killCgroup, leftoverCgroups, removeCgroup } from './cgroups.ts';
import { controlPlaneCgroup, layoutOf, logFolder, nodes, runtimeFolder, stateFolder } from './layout.ts';
import { mountsBelow, unmountBelow } from './mounts.ts';
import { networkLeftovers, removeBridge, removeNodeNetwork } from './network.ts';
import { cutPower } from './node.ts';
import { attempt } from './process.ts';

/** Safe at any time, also when there is nothing or half of it. Logs stay until the next cluster starts. */
export async function removeCluster(): Promise<void> {
  await Promise.all(nodes.map((name) => cutPower(name)));
  await killCgroup(controlPlaneCgroup);
  await removeCgroup(controlPlaneCgroup);
  await Promise.all(nodes.map((name) => removeNodeNetwork(name)));
  await removeBridge();
  await unmountBelow([runtimeFolder, stateFolder]);
  for (const path of files()) rmSync(path, { recursive: true, force: true });
  // `ip netns` mounts this folder on itself when it makes the first namespace.
  if (existsSync('/run/netns') && listing('/run/netns').length === 0) await attempt('umount', ['/run/netns']);
}

export interface Leftovers {
  readonly processes: number;
  readonly namespaces: number;
  readonly mounts: number;
  readonly links: number;
  readonly routes: number;
  readonly rules: number;
  readonly cgroups: number;
  readonly files: number;
}

export async function countLeftovers(): Promise<Leftovers> {
  const network = await networkLeftovers();
  return {
    processes: processes().length,
    namespaces: network.namespaces.length,
    mounts: mountsBelow([runtimeFolder, stateFolder]).length,
    links: network.links.length,
    routes: network.routes.length,
    rules: network.rules.length,
    cgroups: leftoverCgroups().length,
    files: files().length,
  };
}

export const isNothing = (leftovers: Leftovers): boolean => Object.values(leftovers).every((count) => count === 0);

/** `processes 0, namespaces 0, …` */
export function describeLeftovers(leftovers: Leftovers): string {
  return Object.entries(leftovers)
    .map(([what, count]) => `${what} ${String(count)}`)
    .join(', ');
}

/** State, run-time files, and what libcni remembers in a folder that can't be chosen (it carries the network's name). */
function files(): readonly string[] {
  const inside = (folder: string, ours: (entry: string) => boolean): string[] =>
    listing(folder)
      .filter(ours)
      .map((entry) => join(folder, entry));
  return [
    ...inside(runtimeFolder, (entry) => !entry.endsWith('.lock')),
    ...inside(stateFolder, (entry) => join(stateFolder, entry) !== logFolder),
    ...inside('/var/lib/cni/results', (entry) => entry.startsWith('mainstay-')),
  ];
}

/** Found by another way than the cgroups through which they were killed: by command line. */
function processes(): readonly string[] {
  const marks = [`${runtimeFolder}/`, ...nodes.map((name) => `${layoutOf(name).disk}/`)];
  const daemons =
    /^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kube-proxy|local-provisioner|coredns)$/;
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    const line = commandLine(pid);
    const [program = ''] = line;
    if (program.startsWith(`${stateFolder}/bin/`)) return daemons.test(program.slice(stateFolder.length + 5));
    return /containerd/.test(program) && line.some((word) => marks.some((mark) => word.includes(mark)));
  });
}

function commandLine(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // ended while we looked
  }
}

const listing = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);
