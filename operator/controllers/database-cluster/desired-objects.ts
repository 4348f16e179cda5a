import type { DatabaseCluster } from '../../api/database-cluster.ts';
import { primaryEndpointSlice } from '../../resources/endpoint-slice.ts';
import { etcdSecret, givesOwnLogins } from '../../resources/etcd-secret.ts';
import type { Installation } from '../../resources/installation.ts';
import { annotations } from '../../resources/labels.ts';
import { secretNames } from '../../resources/names.ts';
import { dataOwners, ownerReference } from '../../resources/owner.ts';
import { networkPolicyFor } from '../../resources/network-policy.ts';
import { podDisruptionBudgetFor } from '../../resources/pod-disruption-budget.ts';
import { roleBindingFor, roleFor } from '../../resources/role.ts';
import { serviceAccountFor } from '../../resources/service-account.ts';
import { anyService, podsService, primaryService, replicasService } from '../../resources/services.ts';

/** An object as far as this folder cares; the rest goes to the API server as it is. */
export interface Desired {
  readonly kind: string;
  readonly name: string;
  readonly intent: string;
  readonly object: object;
}

/** Objects that are ours entirely: applied whenever our intent changes. */
export function desiredObjects(
  cluster: DatabaseCluster,
  installation: Installation,
  disruptionsAllowed?: number,
): readonly Desired[] {
  const { etcdCredentials } = installation;
  const optional = [podDisruptionBudgetFor(cluster, disruptionsAllowed), networkPolicyFor(cluster)];
  return [
    serviceAccountFor(cluster),
    roleFor(cluster),
    roleBindingFor(cluster),
    primaryService(cluster),
    replicasService(cluster),
    anyService(cluster),
    podsService(cluster),
    ...optional.filter((object) => object !== undefined),
    ...(etcdCredentials && !givesOwnLogins(installation) ? [etcdSecret(cluster, etcdCredentials)] : []),
  ].map(describe);
}

/** Kinds of which there is one object or none, as the spec says. */
export const optionalKinds = ['PodDisruptionBudget', 'NetworkPolicy'] as const;

/** Objects that are made once, because others write into them or know their content; only their owners may change. */
export type OnceObject =
  | {
      readonly kind: 'EndpointSlice';
      readonly name: string;
      readonly owners: readonly object[];
      readonly object: object;
    }
  | {
      readonly kind: 'Secret';
      readonly name: string;
      readonly owners: readonly object[];
      readonly content: 'application' | 'system';
    };

export function onceObjects(cluster: DatabaseCluster): readonly OnceObject[] {
  const { name } = cluster.metadata;
  const slice = primaryEndpointSlice(cluster);
  return [
    {
      kind: 'EndpointSlice',
      name: slice.metadata?.name ?? '',
      owners: [ownerReference(cluster)],
      object: slice,
    },
    ...(cluster.spec.application.passwordSecret
      ? []
      : ([
          { kind: 'Secret', name: secretNames.application(name), owners: dataOwners(cluster), content: 'application' },
        ] as const)),
    { kind: 'Secret', name: secretNames.system(name), owners: dataOwners(cluster), content: 'system' },
  ];
}

export function describe(object: {
  readonly kind?: string | undefined;
  readonly metadata?: { readonly name?: string; readonly annotations?: Readonly<Record<string, string>> } | undefined;
}): Desired {
  return {
    kind: object.kind ?? '',
    name: object.metadata?.name ?? '',
    intent: object.metadata?.annotations?.[annotations.intent] ?? '',
    object,
  };
}
