/** Everything that runs for a node is in the node's cgroups: that is how it is found, killed and proven gone. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prefix } from './layout.ts';

const root = '/sys/fs/cgroup';

/**
 * Ten times what any process has: a node stands for a machine of its own, on which whatever else this one does would not run.
 * With the default share, a build beside the tests starves three nodes as one.
 */
const cpuShare = { 'cpu.shares': '10240', 'cpu.weight': '1000' };

/** Creates the group in every hierarchy (one with cgroup v2, one per controller with v1). */
export function createCgroup(name: string): void {
  for (const hierarchy of hierarchies()) {
    const folder = join(hierarchy, name);
    mkdirSync(folder, { recursive: true });
    // A v1 cpuset starts empty and then admits no process.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (isV2() || !existsSync(join(folder, file))) continue;
      writeFileSync(join(folder, file), readFileSync(join(hierarchy, file)));
    }
    for (const [file, share] of Object.entries(cpuShare))
      if (existsSync(join(folder, file))) writeFileSync(join(folder, file), share);
  }
  mkdirSync(join(census(), name, 'daemons'), { recursive: true });
}

/** Writing a pid here makes the process part of the group. A leaf of its own, as v2 wants no processes in inner groups. */
export function daemonsFile(name: string): string {
  return join(census(), name, 'daemons', 'cgroup.procs');
}

/** Every process in the group and below it. */
export function processesIn(name: string): readonly number[] {
  return processesBelow(join(census(), name));
}

/** SIGKILL to everything in the group, until nothing is left. */
export async function killCgroup(name: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const left = processesIn(name);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`${name}: processes ${left.join(', ')} survive SIGKILL`);
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // gone already
      }
    }
    await sleep(5);
  }
}

/** Throws when a group can't be removed: then something still runs in it. */
export async function removeCgroup(name: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (const folder of hierarchies().map((hierarchy) => join(hierarchy, name))) {
    while (existsSync(folder)) {
      removeTree(folder);
      if (!existsSync(folder)) break;
      if (performance.now() > deadline) throw new Error(`${folder} can't be removed: something still runs in it`);
      await sleep(20); // the kernel lets go of a killed process a moment after it is gone
    }
  }
}

/** Names of all groups of the cluster that exist in any hierarchy. */
export function leftoverCgroups(): readonly string[] {
  const names = hierarchies().flatMap((hierarchy) => folders(hierarchy).filter((name) => name.startsWith(prefix)));
  return [...new Set(names)];
}

function isV2(): boolean {
  return existsSync(join(root, 'cgroup.controllers'));
}

function hierarchies(): readonly string[] {
  return isV2() ? [root] : folders(root).map((name) => join(root, name));
}

/** The hierarchy in which processes are counted: runc joins this one for every container. */
function census(): string {
  return isV2() ? root : join(root, 'pids');
}

function folders(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return []; // removed while we looked
  }
}

function processesBelow(folder: string): number[] {
  let own: number[] = [];
  try {
    own = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return own;
  }
  return own.concat(folders(folder).flatMap((name) => processesBelow(join(folder, name))));
}

function removeTree(folder: string): void {
  for (const name of folders(folder)) removeTree(join(folder, name));
  try {
    rmdirSync(folder);
  } catch {
    // still busy: the caller tries again
  }
}
