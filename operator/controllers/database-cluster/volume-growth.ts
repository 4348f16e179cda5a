/** Volumes that shall be larger than they are, and whether their storage class lets them. */
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import { quantityValue } from '../../api/quantity.ts';
import { wishFor } from '../../resources/persistent-volume-claim.ts';
import type { ObservedVolume } from './facts.ts';

export const shallGrow = (cluster: DatabaseCluster, volume: ObservedVolume): boolean =>
  (quantityValue(wishFor(cluster, volume.holds).size) ?? 0) > (quantityValue(volume.size) ?? 0);

/** What nobody knows is tried: the API server has the last word. */
export const canGrow = (growable: ReadonlyMap<string, boolean>, { storageClassName }: ObservedVolume): boolean =>
  growable.get(storageClassName ?? '') !== false;

/** The largest size that was asked for. */
export function largest(volumes: readonly ObservedVolume[]): string | undefined {
  const [first] = volumes.map(({ size }) => size).toSorted((a, b) => (quantityValue(b) ?? 0) - (quantityValue(a) ?? 0));
  return first;
}
