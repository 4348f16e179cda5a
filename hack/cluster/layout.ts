/** Where the local cluster lives: names, addresses and folders, all fixed so that leftovers can be found again. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export const nodes = ['n1', 'n2', 'n3'] as const;
export type NodeName = (typeof nodes)[number];

export function isNodeName(name: string): name is NodeName {
  return (nodes as readonly string[]).includes(name);
}

export const bridge = 'msbr0';
/** The host on the bridge: API server and the nodes' gateway. */
export const gateway = '10.89.0.1';
/** CoreDNS has an address of its own, so that a node cut off from the API server can still resolve names. */
export const dnsAddress = '10.89.0.2';
export const serviceCidr = '10.96.0.0/16';
export const podsCidr = '10.90.0.0/16';
export const apiServerUrl = `https://${gateway}:6443`;

export interface NodeLayout {
  readonly name: NodeName;
  readonly zone: string;
  readonly address: string;
  readonly podCidr: string;
  /** The host's end of the node's cable. */
  readonly link: string;
  readonly netns: string;
  readonly cgroup: string;
  /** What survives a power-off: the node's disk. */
  readonly disk: string;
  /** What a power-off clears. */
  readonly runtime: string;
  readonly containerdSocket: string;
}

export function layoutOf(name: NodeName): NodeLayout {
  const number = nodes.indexOf(name) + 1;
  const runtime = join(runtimeFolder, name);
  return {
    name,
    zone: `z${number}`,
    address: `10.89.0.${10 + number}`,
    podCidr: `10.90.${number}.0/24`,
    link: `ms${name}`,
    netns: `${prefix}${name}`,
    cgroup: `${prefix}${name}`,
    disk: join(stateFolder, 'nodes', name),
    runtime,
    containerdSocket: join(runtime, 'containerd.sock'),
  };
}

/** Namespaces and cgroups of the cluster start with this; nothing else on the machine may. */
export const prefix = 'mainstay-';
export const controlPlaneCgroup = `${prefix}control-plane`;

export const stateFolder = join(process.env['MAINSTAY_STATE'] ?? '/var/tmp/mainstay', 'cluster');
export const cacheFolder = process.env['MAINSTAY_CACHE'] ?? join(homedir(), '.cache', 'mainstay');
/** Short, because sockets live here (108 characters at most), and not below the state: a machine has one cluster. */
export const runtimeFolder = '/run/mainstay';

export const kubeconfigPath = join(stateFolder, 'kubeconfig');
export const pkiFolder = join(stateFolder, 'pki');
export const binFolder = join(stateFolder, 'bin');
export const logFolder = join(stateFolder, 'logs');
