/** What the objects of a cluster are called: part of the contract with agents, charts and people. */
import type { InstanceName } from '../api/cluster-state.ts';

export const instanceName = (cluster: string, number: number): InstanceName => `${cluster}-${number}`;

/** The number of an instance of this cluster; undefined for any other name. */
export function instanceNumber(cluster: string, instance: InstanceName): number | undefined {
  if (!instance.startsWith(`${cluster}-`)) return undefined;
  const rest = instance.slice(cluster.length + 1);
  return /^[1-9][0-9]{0,2}$/.test(rest) ? Number(rest) : undefined;
}

/** The instances that a spec asks for: `<cluster>-1` to `<cluster>-n`. */
export const instanceNames = (cluster: string, instances: number): readonly InstanceName[] =>
  Array.from({ length: instances }, (_, index) => instanceName(cluster, index + 1));

/** A volume of an instance: of its data, or of its write-ahead log where that has one of its own. */
export interface VolumeId {
  readonly instance: InstanceName;
  readonly holds: VolumeContent;
  /** 1 at first; one more for each volume made in place of another. */
  readonly serial: number;
}

export type VolumeContent = 'data' | 'wal';

/** What its claim is called: `orders-2`, `orders-2-wal`; in their place `orders-2-v2`, `orders-2-v2-wal`. */
export const volumeName = ({ instance, holds, serial }: VolumeId): string =>
  `${instance}${serial > 1 ? `-v${serial}` : ''}${holds === 'wal' ? '-wal' : ''}`;

/** The volume of this cluster whose claim is called so; undefined for any other name. */
export function volumeOfName(cluster: string, name: string): VolumeId | undefined {
  const [, instance = '', serial, wal] = /^(.+?)(?:-v([2-9]|[1-9][0-9]{1,3}))?(-wal)?$/.exec(name) ?? [];
  if (instanceNumber(cluster, instance) === undefined) return undefined;
  return { instance, holds: wal === undefined ? 'data' : 'wal', serial: Number(serial ?? 1) };
}

export const serviceNames = {
  primary: (cluster: string) => `${cluster}-rw`,
  replicas: (cluster: string) => `${cluster}-ro`,
  any: (cluster: string) => `${cluster}-r`,
  /** Headless: names for the agents, ready or not. */
  pods: (cluster: string) => `${cluster}-pods`,
} as const;

export const secretNames = {
  application: (cluster: string) => `${cluster}-app`,
  system: (cluster: string) => `${cluster}-system`,
  etcd: (cluster: string) => `${cluster}-etcd`,
  /** For clients: the authorities by which they know the servers. */
  authorities: (cluster: string) => `${cluster}-ca`,
  /** For the operator alone: what certificates are issued from. */
  authorityKey: (cluster: string) => `${cluster}-ca-key`,
  /** For the Pods (operator/api/tls-files.ts). */
  certificates: (cluster: string) => `${cluster}-certificates`,
} as const;

export const agentPort = 8008;
