/** Labels and annotations on everything that belongs to a cluster. */
import type { InstanceName } from '../api/cluster-state.ts';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';

export const labels = {
  cluster: 'mainstay.dev/cluster',
  instance: 'mainstay.dev/instance',
  role: 'mainstay.dev/role',
  /** On volumes: the chart's admission policy refuses to delete what carries it. */
  deletionProtection: 'mainstay.dev/deletion-protection',
  managedBy: 'app.kubernetes.io/managed-by',
  engine: 'app.kubernetes.io/name',
} as const;

export const annotations = {
  /** Hash of what we asked for; the only thing compared to tell whether an object is up to date. */
  intent: 'mainstay.dev/intent',
  /** On a Pod, hash of what users and administrators decide about it, whichever operator made it. */
  inputs: 'mainstay.dev/inputs',
  /** Identity of the data on a volume: the UID of the first cluster that owned it. */
  clusterUid: 'mainstay.dev/cluster-uid',
  /** On a volume that stays although another has taken its place: that other's claim. It is never used again. */
  supersededBy: 'mainstay.dev/superseded-by',
  /** On a Pod, spec.resources as it was asked for last, when it was made or since. */
  resources: 'mainstay.dev/resources',
  /** On a Pod, hash of resources that the API server would not give it while it runs. */
  resizeRefused: 'mainstay.dev/resize-refused',
  /** Generation of the spec in force when a Pod was made. */
  generation: 'mainstay.dev/generation',
  /** On a Pod, which certificates there are: a change makes the kubelet look at once, which it else does once a minute. */
  certificates: 'mainstay.dev/certificates',
  /** On a Pod, which passwords among the instances there are; for the same reason. */
  passwords: 'mainstay.dev/passwords',
  /** On a cluster: another value has roles and databases brought about anew, drift included. */
  applyAgain: 'mainstay.dev/apply-again',
} as const;

export const manager = 'mainstay';

/** Selects everything we made, in any cluster. */
export const managedSelector = `${labels.managedBy}=${manager}`;

export function clusterLabels(cluster: DatabaseCluster): Record<string, string> {
  const { name } = cluster.metadata;
  return {
    [labels.engine]: profileOf(cluster).engine,
    'app.kubernetes.io/instance': name,
    'app.kubernetes.io/component': 'database',
    [labels.managedBy]: manager,
    [labels.cluster]: name,
  };
}

export function instanceLabels(cluster: DatabaseCluster, instance: InstanceName): Record<string, string> {
  return { ...clusterLabels(cluster), [labels.instance]: instance };
}

/** Selects the Pods of a cluster; stable for its whole life, because Services and the PodDisruptionBudget depend on it. */
export const podSelector = (cluster: string): Record<string, string> => ({ [labels.cluster]: cluster });
