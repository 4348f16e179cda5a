import type * as k8s from '@kubernetes/client-node';
import type { Wire } from '../platform/wire.ts';

export type { Wire };

/** What every API object has. */
export interface ApiObject {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly metadata?: ApiObjectMeta | undefined;
}

export interface ApiObjectMeta {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

declare const objectType: unique symbol;

/** Where the API serves objects of type `T`. */
export interface ResourceKind<T extends ApiObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Reads bring the metadata alone. */
  readonly metadataOnly?: true;
  /** Never there; carries the type. */
  readonly [objectType]?: T;
}

export function defineKind<T extends ApiObject>(
  apiVersion: string,
  kind: string,
  plural: string,
  scope: 'namespaced' | 'cluster' = 'namespaced',
): ResourceKind<T> {
  return { apiVersion, kind, plural, namespaced: scope === 'namespaced' };
}

/** The same objects, of which nothing but the metadata leaves the API server. */
export const metadataOf = <T extends ApiObject>(kind: ResourceKind<T>): ResourceKind<Pick<T, 'metadata'>> => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  plural: kind.plural,
  namespaced: kind.namespaced,
  metadataOnly: true,
});

export const pods = defineKind<Wire<k8s.V1Pod>>('v1', 'Pod', 'pods');
export const persistentVolumeClaims = defineKind<Wire<k8s.V1PersistentVolumeClaim>>(
  'v1',
  'PersistentVolumeClaim',
  'persistentvolumeclaims',
);
export const persistentVolumes = defineKind<Wire<k8s.V1PersistentVolume>>(
  'v1',
  'PersistentVolume',
  'persistentvolumes',
  'cluster',
);
export const services = defineKind<Wire<k8s.V1Service>>('v1', 'Service', 'services');
export const secrets = defineKind<Wire<k8s.V1Secret>>('v1', 'Secret', 'secrets');
export const configMaps = defineKind<Wire<k8s.V1ConfigMap>>('v1', 'ConfigMap', 'configmaps');
export const serviceAccounts = defineKind<Wire<k8s.V1ServiceAccount>>('v1', 'ServiceAccount', 'serviceaccounts');
export const namespaces = defineKind<Wire<k8s.V1Namespace>>('v1', 'Namespace', 'namespaces', 'cluster');
export const nodes = defineKind<Wire<k8s.V1Node>>('v1', 'Node', 'nodes', 'cluster');
export const events = defineKind<Wire<k8s.EventsV1Event>>('events.k8s.io/v1', 'Event', 'events');
export const leases = defineKind<Wire<k8s.V1Lease>>('coordination.k8s.io/v1', 'Lease', 'leases');
export const roles = defineKind<Wire<k8s.V1Role>>('rbac.authorization.k8s.io/v1', 'Role', 'roles');
export const roleBindings = defineKind<Wire<k8s.V1RoleBinding>>(
  'rbac.authorization.k8s.io/v1',
  'RoleBinding',
  'rolebindings',
);
export const podDisruptionBudgets = defineKind<Wire<k8s.V1PodDisruptionBudget>>(
  'policy/v1',
  'PodDisruptionBudget',
  'poddisruptionbudgets',
);
export const endpointSlices = defineKind<Wire<k8s.V1EndpointSlice>>(
  'discovery.k8s.io/v1',
  'EndpointSlice',
  'endpointslices',
);
export const networkPolicies = defineKind<Wire<k8s.V1NetworkPolicy>>(
  'networking.k8s.io/v1',
  'NetworkPolicy',
  'networkpolicies',
);
export const deployments = defineKind<Wire<k8s.V1Deployment>>('apps/v1', 'Deployment', 'deployments');
export const statefulSets = defineKind<Wire<k8s.V1StatefulSet>>('apps/v1', 'StatefulSet', 'statefulsets');
export const jobs = defineKind<Wire<k8s.V1Job>>('batch/v1', 'Job', 'jobs');
export const storageClasses = defineKind<Wire<k8s.V1StorageClass>>(
  'storage.k8s.io/v1',
  'StorageClass',
  'storageclasses',
  'cluster',
);
export const customResourceDefinitions = defineKind<Wire<k8s.V1CustomResourceDefinition>>(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  'cluster',
);
