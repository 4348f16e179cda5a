/** The machines' network: a bridge in the host, a network namespace and a cable per node, and ways to cut it. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  bridge,
  dnsAddress,
  gateway,
  layoutOf,
  nodes,
  podsCidr,
  prefix,
  stateFolder,
  type NodeName,
} from './layout.ts';
import { attempt, run } from './process.ts';

/** What a node can be cut from. */
export type Peer = NodeName | 'control-plane';
/** A node is cut from everything or from some peers; nodes that aren't listed have no cut. */
export type Cuts = Readonly<Partial<Record<NodeName, 'everything' | readonly Peer[]>>>;

export async function createBridge(signal: AbortSignal): Promise<void> {
  // An address of its own: left to itself a bridge takes its lowest port's, and when a node is switched on or off every
  // other node goes on sending to the former one until its neighbour table has aged.
  await ip(signal, 'link', 'add', bridge, 'address', '02:6d:61:69:6e:73', 'type', 'bridge');
  await ip(signal, 'addr', 'add', `${gateway}/24`, 'dev', bridge);
  await ip(signal, 'addr', 'add', `${dnsAddress}/32`, 'dev', bridge);
  await ip(signal, 'link', 'set', bridge, 'up');
}

/** A namespace and cable as a machine has them when it was just switched on, with the cuts that the network has for it. */
export async function createNodeNetwork(name: NodeName, signal: AbortSignal): Promise<void> {
  const node = layoutOf(name);
  const inside = (...args: string[]): Promise<void> => ip(signal, '-n', node.netns, ...args);
  await removeNodeNetwork(name);
  await ip(signal, 'netns', 'add', node.netns);
  await ip(signal, 'link', 'add', node.link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', node.netns);
  await ip(signal, 'link', 'set', node.link, 'master', bridge);
  await inside('link', 'set', 'lo', 'up');
  await inside('addr', 'add', `${node.address}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('route', 'add', 'default', 'via', gateway);
  for (const other of nodes) {
    if (other !== name) await inside('route', 'add', layoutOf(other).podCidr, 'via', layoutOf(other).address);
  }
  const settings = ['net/ipv4/ip_forward', 'net/ipv4/conf/all/route_localnet'];
  await inNetns(name, 'sh', ['-c', settings.map((setting) => `echo 1 > /proc/sys/${setting}`).join(' && ')], signal);
  await ip(signal, 'route', 'replace', node.podCidr, 'via', node.address, 'dev', bridge);
  await enforce(name, signal);
}

export async function removeNodeNetwork(name: NodeName): Promise<void> {
  const node = layoutOf(name);
  // The link first: deleting a namespace takes its cable along only some time later.
  await attempt('ip', ['link', 'del', node.link]);
  await attempt('ip', ['netns', 'del', node.netns]);
}

export async function removeBridge(): Promise<void> {
  await attempt('ip', ['link', 'del', bridge]);
}

/** Pulls the cable; `enforce` plugs it in again. */
export async function unplug(name: NodeName): Promise<void> {
  await attempt('ip', ['link', 'set', layoutOf(name).link, 'down']);
}

const cutsFile = join(stateFolder, 'cuts.json');

export function readCuts(): Cuts {
  return existsSync(cutsFile) ? (JSON.parse(readFileSync(cutsFile, 'utf8')) as Cuts) : {};
}

export function writeCuts(cuts: Cuts): void {
  mkdirSync(dirname(cutsFile), { recursive: true });
  writeFileSync(cutsFile, JSON.stringify(cuts));
}

export function forgetCuts(): void {
  rmSync(cutsFile, { force: true });
}

/** Makes the node's network what the cuts say. */
export async function enforce(name: NodeName, signal: AbortSignal): Promise<void> {
  const node = layoutOf(name);
  const cut = readCuts()[name] ?? [];
  const everything = cut === 'everything';
  await ip(signal, 'link', 'set', node.link, everything ? 'down' : 'up');
  await run('ip', ['netns', 'exec', node.netns, 'nft', '-f', '-'], { signal, input: cutRules(everything ? [] : cut) });
}

/** Drops both directions in the node's namespace, before and after address translation, so Services don't get around it. */
export function cutRules(peers: readonly Peer[]): string {
  const reset = 'table inet mainstay_cuts {}\ndelete table inet mainstay_cuts\n';
  if (peers.length === 0) return reset;
  const addresses = peers
    .flatMap((peer) => (peer === 'control-plane' ? [gateway] : [layoutOf(peer).address, layoutOf(peer).podCidr]))
    .join(', ');
  return `${reset}table inet mainstay_cuts {
  chain arriving { type filter hook prerouting priority raw; ip saddr { ${addresses} } drop; }
  chain leaving { type filter hook postrouting priority 200; ip daddr { ${addresses} } drop; }
}
`;
}

export interface NetworkLeftovers {
  readonly namespaces: readonly string[];
  readonly links: readonly string[];
  readonly routes: readonly string[];
  readonly rules: readonly string[];
}

export async function networkLeftovers(): Promise<NetworkLeftovers> {
  const ours = [bridge, ...nodes.map((name) => layoutOf(name).link)];
  const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');
  const pods = podsCidr.split('.').slice(0, 2).join('.');
  const machines = gateway.split('.').slice(0, 3).join('.');
  const tables = await run('nft', ['list', 'tables']).catch(() => '');
  return {
    namespaces: existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith(prefix)) : [],
    links: readdirSync('/sys/class/net').filter((name) => ours.includes(name)),
    routes: lines(await run('ip', ['route', 'show'])).filter((line) =>
      [pods, machines].some((network) => line.startsWith(`${network}.`)),
    ),
    rules: lines(tables).filter((line) => line.includes('mainstay')),
  };
}

async function ip(signal: AbortSignal, ...args: string[]): Promise<void> {
  await run('ip', args, { signal });
}

async function inNetns(name: NodeName, command: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  await run('ip', ['netns', 'exec', layoutOf(name).netns, command, ...args], { signal });
}
