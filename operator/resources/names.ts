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

/** The claim of an instance's volume: of its data, or of its write-ahead log where that has one of its own. */
export const volumeName = (instance: InstanceName, holds: VolumeContent): string =>
  holds === 'wal' ? `${instance}-wal` : instance;

export type VolumeContent = 'data' | 'wal';

/** The instance whose write-ahead log a claim of this name holds, if it is such a name. */
export const instanceOfWal = (name: string): InstanceName | undefined =>
  name.endsWith('-wal') ? name.slice(0, -'-wal'.length) : undefined;

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
