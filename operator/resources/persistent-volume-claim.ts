import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { InstanceName } from '../api/cluster-state.ts';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { quantityValue } from '../api/quantity.ts';
import type { VolumeWish } from '../engines/profile.ts';
import { profileOf } from '../engines/profiles.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { annotations, instanceLabels, labels } from './labels.ts';
import { volumeName, type VolumeContent } from './names.ts';
import { dataOwners } from './owner.ts';

export interface VolumeFacts {
  readonly dataUid: string;
  readonly holds?: VolumeContent;
  readonly serial?: number;
  /** Of the volume that is there already: a volume never shrinks, and its class never changes. */
  readonly mayGrow?: boolean;
  readonly existing?: { readonly size: string; readonly storageClassName?: string | undefined } | undefined;
}

/** What the spec asks of a volume. */
export const wishFor = (cluster: DatabaseCluster, holds: VolumeContent): VolumeWish =>
  (holds === 'wal' ? profileOf(cluster).logVolume(cluster) : undefined) ?? cluster.spec.storage;

/** A volume of one instance. Without an owner while it is to outlive the cluster. */
export function volumeFor(
  cluster: DatabaseCluster,
  instance: InstanceName,
  { dataUid, existing, holds = 'data', serial = 1, mayGrow = true }: VolumeFacts,
): Wire<V1PersistentVolumeClaim> {
  const { namespace } = cluster.metadata;
  const { size, storageClassName } = wishFor(cluster, holds);
  const storageClass = storageClassName === undefined ? undefined : (existing?.storageClassName ?? storageClassName);
  return withIntent<Wire<V1PersistentVolumeClaim>>({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: volumeName({ instance, holds, serial }),
      namespace,
      labels: {
        ...instanceLabels(cluster, instance),
        ...(cluster.spec.deletionProtection && { [labels.deletionProtection]: 'true' }),
      },
      annotations: { [annotations.clusterUid]: dataUid },
      ownerReferences: dataOwners(cluster),
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: mayGrow ? larger(size, existing?.size) : (existing?.size ?? size) } },
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  });
}

function larger(wanted: string, existing: string | undefined): string {
  if (existing === undefined) return wanted;
  return (quantityValue(existing) ?? 0) > (quantityValue(wanted) ?? 0) ? existing : wanted;
}
