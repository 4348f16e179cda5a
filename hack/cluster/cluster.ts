/** The local cluster as functions; `main.ts` offers the same as commands. */
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiIsReady, getList, isReady, type Node, type Pod } from './api.ts';
import { artifacts, type Artifacts } from './artifacts.ts';
import { createCgroup } from './cgroups.ts';
import { controlPlane, killApiServer, startApiServer, startControlPlane } from './control-plane.ts';
import { dns, startDns } from './dns.ts';
import { loadImages, writePauseImage } from './images.ts';
import {
  binFolder,
  controlPlaneCgroup,
  kubeconfigPath,
  layoutOf,
  logFolder,
  nodes,
  runtimeFolder,
  stateFolder,
  type NodeName,
} from './layout.ts';
import { withLock } from './lock.ts';
import { createBridge, enforce, forgetCuts, readCuts, writeCuts, type Cuts, type Peer } from './network.ts';
import { bootNode, cutPower, daemonsOf, isPoweredOn, joinCluster } from './node.ts';
import { ensurePackages } from './packages.ts';
import { createPki } from './pki.ts';
import { isRunning, waitFor } from './process.ts';
import { say, step } from './progress.ts';
import { provisioner, startStorage } from './storage.ts';
import { countLeftovers, describeLeftovers, isNothing, removeCluster } from './teardown.ts';

export { kubeconfigPath, nodes, type NodeName, type Peer };

export interface Options {
  readonly signal?: AbortSignal;
}

/** A whole cluster: every node powered on, Ready and connected. Repairs or replaces what it finds. */
export async function up(options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  requireRoot();
  await ensurePackages(signal);
  const programs = await artifacts(signal);
  await exclusively(signal, async () => {
    if (await isAlive(signal)) {
      await makeWhole(signal);
      if (readlinkSync(join(binFolder, 'kubectl')) !== programs.kubernetes) {
        say('This cluster runs programs of an earlier build. To renew it (its data goes): down, then up.');
      }
      return;
    }
    if (!isNothing(await countLeftovers())) await step('Removing what an earlier run left', removeCluster);
    try {
      await create(programs, signal);
    } catch (error) {
      await step('Removing the unfinished cluster', removeCluster);
      say(`Logs are in ${logFolder}.`);
      throw error;
    }
  });
}

/** Removes the cluster and its data. Resolves with the proof; throws when anything is left. */
export async function down(options: Options = {}): Promise<string> {
  requireRoot();
  return exclusively(signalOf(options), async () => {
    await step('Removing the cluster', removeCluster);
    const left = await countLeftovers();
    if (!isNothing(left)) throw new Error(`Left behind: ${describeLeftovers(left)}`);
    rmSync(logFolder, { recursive: true, force: true });
    return `nothing left: ${describeLeftovers(left)}`;
  });
}

/** As if the plug were pulled: when this resolves, nothing of the node runs; its disk is kept. */
export async function powerOff(node: NodeName, options: Options = {}): Promise<void> {
  await exclusively(signalOf(options), async () => {
    requireCluster();
    await cutPower(node);
  });
}

/** Boots the node and waits until the cluster knows it as Ready (unless it is cut off). */
export async function powerOn(node: NodeName, options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  await exclusively(signal, async () => {
    requireCluster();
    if (isPoweredOn(node)) return;
    await boot(node, signal);
  });
}

/** Cuts the node from everything, or only from the peers named, in both directions. Cuts add up until `heal`. */
export async function partition(node: NodeName, peers: readonly Peer[] = [], options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  await exclusively(signal, async () => {
    requireCluster();
    if (peers.includes(node)) throw new Error(`${node} can't be cut from itself`);
    const before = readCuts();
    const known = before[node] ?? [];
    const cut = known === 'everything' || peers.length === 0 ? 'everything' : [...new Set([...known, ...peers])];
    writeCuts({ ...before, [node]: cut });
    if (isPoweredOn(node)) await enforce(node, signal);
  });
}

/** Removes all cuts. */
export async function heal(options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  await exclusively(signal, async () => {
    requireCluster();
    await healAll(signal);
  });
}

/** The API server is gone, as in an outage of the control plane; nodes and Pods go on. */
export async function stopApi(options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  await exclusively(signal, async () => {
    requireCluster();
    await killApiServer(signal);
  });
}

export async function startApi(options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  await exclusively(signal, async () => {
    requireCluster();
    await startApiServer(signal);
  });
}

/** Imports image archives (as from `docker save`) on every node that is powered on. */
export async function load(archives: readonly string[], options: Options = {}): Promise<void> {
  const signal = signalOf(options);
  await exclusively(signal, async () => {
    requireCluster();
    await loadImages(nodes.filter(isPoweredOn), archives, signal);
  });
}

export interface NodeStatus {
  readonly name: NodeName;
  readonly zone: string;
  readonly address: string;
  readonly power: 'on' | 'off';
  readonly ready: boolean;
  readonly cut: Cuts[NodeName];
  readonly pods: number;
}

export interface Status {
  readonly cluster: 'up' | 'down';
  readonly kubeconfig: string;
  readonly nodes: readonly NodeStatus[];
}

export async function status(options: Options = {}): Promise<Status> {
  const signal = signalOf(options);
  const alive = await isAlive(signal);
  const known = alive ? await getList<Node>('/api/v1/nodes', signal) : [];
  const pods = alive ? await getList<Pod>('/api/v1/pods', signal) : [];
  const cuts = readCuts();
  return {
    cluster: alive ? 'up' : 'down',
    kubeconfig: kubeconfigPath,
    nodes: nodes.map((name) => ({
      name,
      zone: layoutOf(name).zone,
      address: layoutOf(name).address,
      power: isPoweredOn(name) ? 'on' : 'off',
      ready: known.some((node) => node.metadata.name === name && isReady(node)),
      cut: cuts[name],
      pods: pods.filter((pod) => pod.spec.nodeName === name).length,
    })),
  };
}

async function create(programs: Artifacts, signal: AbortSignal): Promise<void> {
  rmSync(logFolder, { recursive: true, force: true });
  mkdirSync(runtimeFolder, { recursive: true });
  writeFileSync(ownerFile, stateFolder);
  mkdirSync(stateFolder, { recursive: true });
  await step('Certificates, network, container runtimes, API server', async () => {
    linkPrograms(programs);
    await createPki(signal);
    await createBridge(signal);
    createCgroup(controlPlaneCgroup);
    const pause = writePauseImage(programs.pause);
    await together([startControlPlane(signal), ...nodes.map((name) => bootNode(name, signal))]);
    await loadImages(nodes, [pause], signal);
  });
  await step('Nodes, DNS, storage', async () => {
    nodes.forEach(joinCluster);
    await together([
      startDns(signal),
      startStorage(signal),
      ...nodes.map((name) => waitUntilReady(name, new Date(0), signal)),
    ]);
  });
  // Written last: a cluster without it was never finished.
  writeFileSync(finishedFile, new Date().toISOString());
}

const finishedFile = join(stateFolder, 'finished');
const ownerFile = join(runtimeFolder, 'owner');

/** All succeed, or the first error after all have ended: nothing may still be starting when the clean-up begins. */
async function together(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function linkPrograms(programs: Artifacts): void {
  mkdirSync(binFolder, { recursive: true });
  const link = (name: string, program: string): void => symlinkSync(program, join(binFolder, name));
  const inOne = [...controlPlane.map((daemon) => daemon.name), 'kubelet', 'kube-proxy', 'kubectl', provisioner.name];
  for (const name of inOne) link(name, programs.kubernetes);
  link('coredns', programs.coredns);
  link('helm', programs.helm);
}

/** Whether a finished cluster has a working control plane. */
async function isAlive(signal: AbortSignal): Promise<boolean> {
  if (!existsSync(finishedFile)) return false;
  return [...controlPlane, dns, provisioner].every(isRunning) && (await apiIsReady(signal));
}

async function makeWhole(signal: AbortSignal): Promise<void> {
  await healAll(signal);
  for (const name of nodes) {
    if (daemonsOf(name).every(isRunning)) continue;
    await step(`Rebooting ${name}`, async () => {
      await cutPower(name);
      await boot(name, signal);
    });
  }
  await together(nodes.map((name) => waitUntilReady(name, new Date(0), signal)));
}

async function boot(name: NodeName, signal: AbortSignal): Promise<void> {
  const since = new Date();
  try {
    await bootNode(name, signal);
    joinCluster(name);
    const cut = readCuts()[name] ?? [];
    if (cut !== 'everything' && !cut.includes('control-plane')) await waitUntilReady(name, since, signal);
  } catch (error) {
    await cutPower(name);
    throw error;
  }
}

/** Ready, as the node itself has said since then: an old word of a dead node counts for 40 s otherwise. */
async function waitUntilReady(name: NodeName, since: Date, signal: AbortSignal): Promise<void> {
  const whole = Math.floor(since.getTime() / 1000) * 1000; // Kubernetes' times have no fractions
  await waitFor(
    `${name} Ready`,
    async () => {
      const node = (await getList<Node>('/api/v1/nodes', signal)).find((candidate) => candidate.metadata.name === name);
      const heard = node?.status.conditions?.find((condition) => condition.type === 'Ready')?.lastHeartbeatTime;
      if (node === undefined || heard === undefined) return undefined;
      return isReady(node) && new Date(heard).getTime() >= whole ? true : undefined;
    },
    { timeoutMs: 90_000, signal, intervalMs: 300 },
  );
}

async function healAll(signal: AbortSignal): Promise<void> {
  const cut = Object.keys(readCuts()) as NodeName[];
  forgetCuts();
  for (const name of cut) {
    if (isPoweredOn(name)) await enforce(name, signal);
  }
}

function exclusively<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const guarded = async (): Promise<T> => {
    requireOwnState();
    return work();
  };
  return withLock(join(runtimeFolder, 'cluster.lock'), guarded, { signal });
}

/** Names and addresses exist once per machine, so a cluster whose state is in another folder must go first. */
function requireOwnState(): void {
  const owner = existsSync(ownerFile) ? readFileSync(ownerFile, 'utf8') : stateFolder;
  if (owner === stateFolder) return;
  throw new Error(
    `This machine's cluster has its state in ${owner}, not in ${stateFolder}: set MAINSTAY_STATE accordingly.`,
  );
}

function requireCluster(): void {
  if (!existsSync(finishedFile))
    throw new Error('There is no cluster here. Start one with: node hack/cluster/main.ts up');
}

function requireRoot(): void {
  if (process.getuid?.() !== 0)
    throw new Error('The local cluster makes network namespaces and mounts: run this as root.');
}

function signalOf(options: Options): AbortSignal {
  return options.signal ?? new AbortController().signal;
}
