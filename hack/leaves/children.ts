/** Everything that the operator makes of a spec, without a cluster around it. */
import { profileOf } from '../../operator/engines/profiles.ts';
import type { DatabaseCluster } from '../../operator/api/database-cluster.ts';
import { desiredObjects, onceObjects } from '../../operator/controllers/database-cluster/desired-objects.ts';
import { declarationFor, passwordPlaces } from '../../operator/resources/declaration.ts';
import { definitionFor } from '../../operator/resources/definition.ts';
import { databaseImage, type Installation } from '../../operator/resources/installation.ts';
import { instanceNames } from '../../operator/resources/names.ts';
import { dataOwners } from '../../operator/resources/owner.ts';
import { volumeFor } from '../../operator/resources/persistent-volume-claim.ts';
import { podFor } from '../../operator/resources/pod.ts';
import { serverNames } from '../../operator/resources/tls-secrets.ts';

/** Of Kubernetes: each is sent to the API server as it is. */
export function objectsFor(cluster: DatabaseCluster, installation: Installation): readonly object[] {
  const image = databaseImage(cluster, installation) ?? '';
  const { uid } = cluster.metadata;
  return [
    ...desiredObjects(cluster, installation).map(({ object }) => object),
    ...onceObjects(cluster).flatMap((once) => (once.kind === 'EndpointSlice' ? [once.object] : [])),
    ...instanceNames(cluster.metadata.name, cluster.spec.instances).flatMap((instance) => [
      podFor(cluster, instance, { installation, image, dataUid: uid }),
      volumeFor(cluster, instance, { dataUid: uid }),
      ...(profileOf(cluster).logVolume(cluster) ? [volumeFor(cluster, instance, { dataUid: uid, holds: 'wal' })] : []),
    ]),
  ];
}

/** For the agents, and for certificates and passwords. */
export function wordsFor(cluster: DatabaseCluster): readonly unknown[] {
  const zones = new Map(
    instanceNames(cluster.metadata.name, cluster.spec.instances).map((instance, index) => [instance, `z${index + 1}`]),
  );
  const places = passwordPlaces(cluster);
  const passwords = new Map(places.map(({ role }) => [role, { verifier: `of ${role}`, revision: '1' }]));
  return [
    definitionFor(cluster, { zones }),
    declarationFor(cluster, passwords),
    places,
    serverNames(cluster),
    dataOwners(cluster),
  ];
}
