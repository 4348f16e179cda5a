/** What the controller watches: operations, found by their cluster. */
import { apiVersion } from '../../api/api-group.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { createInformer, type Informer } from '../../kubernetes/informer.ts';
import { defineKind, type ApiObject, type ApiObjectMeta } from '../../kubernetes/kinds.ts';
import type { Surroundings } from '../../kubernetes/surroundings.ts';

/** As the API server has it: checked by its schema, still to be parsed by ours. */
export interface StoredOperation extends ApiObject {
  readonly metadata?: (ApiObjectMeta & { readonly generation?: number | undefined }) | undefined;
  readonly spec?: { readonly clusterRef?: { readonly name?: string | undefined } | undefined } | undefined;
  readonly status?: unknown;
}

export const clusterOperations = defineKind<StoredOperation>(apiVersion, 'ClusterOperation', 'clusteroperations');

export interface OperationSourceOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** All namespaces if undefined. */
  readonly namespace: string | undefined;
  readonly onCluster: (key: string) => void;
}

export function createOperationSource(options: OperationSourceOptions): Informer<StoredOperation> {
  const { client, namespace, onCluster } = options;
  return createInformer(
    client,
    clusterOperations,
    { namespace },
    {
      ...options,
      indexBy: (operation) => [clusterKeyOf(operation)],
      onChange: (_key, operation, previous) => {
        const changed = operation ?? previous;
        if (changed) onCluster(clusterKeyOf(changed));
      },
    },
  );
}

/** Of the cluster that it names, as `namespace/name`. */
export const clusterKeyOf = ({ metadata, spec }: StoredOperation): string =>
  `${metadata?.namespace ?? ''}/${spec?.clusterRef?.name ?? ''}`;
