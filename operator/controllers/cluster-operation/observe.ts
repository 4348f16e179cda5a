/** observe(key of a cluster) → facts: from local copies, or, before something is done, from the API server and etcd as of now. */
import { parseClusterOperation, type ClusterOperation } from '../../api/cluster-operation.ts';
import type { Informer } from '../../kubernetes/informer.ts';
import { MainstayError } from '../../platform/errors.ts';
import { observe, type Freshness, type Observer } from '../database-cluster/observe.ts';
import type { OperationFacts } from './facts.ts';
import { clusterKeyOf, clusterOperations, type StoredOperation } from './sources.ts';

export interface OperationObserver {
  readonly clusters: Observer;
  readonly operations: Informer<StoredOperation>;
}

export interface Observed {
  readonly facts: OperationFacts;
  /** Operations whose spec this operator can't read. */
  readonly unreadable: readonly { readonly stored: StoredOperation; readonly problem: string }[];
}

const callTimeoutMs = 10_000;

export async function observeOperations(
  { clusters, operations }: OperationObserver,
  key: string,
  freshness: Freshness,
  signal: AbortSignal,
): Promise<Observed> {
  const [namespace = ''] = key.split('/');
  const stored =
    freshness === 'now'
      ? (
          await clusters.client.list(clusterOperations, { namespace }, { signal, timeoutMs: callTimeoutMs })
        ).items.filter((operation) => clusterKeyOf(operation) === key)
      : operations.withIndex(key);
  const read = stored.map(readOperation);
  return {
    facts: {
      now: clusters.clock.wall().getTime(),
      cluster: await observe(clusters, key, freshness, signal),
      operations: read.flatMap((one) => ('operation' in one ? [one.operation] : [])),
      unreadable: read.flatMap((one) => ('problem' in one ? [one.stored.metadata?.uid ?? ''] : [])),
    },
    unreadable: read.flatMap((one) => ('problem' in one ? [one] : [])),
  };
}

function readOperation(
  stored: StoredOperation,
): { readonly operation: ClusterOperation } | { readonly stored: StoredOperation; readonly problem: string } {
  try {
    return { operation: parseClusterOperation(stored) };
  } catch (error) {
    if (error instanceof MainstayError && error.code === 'ResourceInvalid') return { stored, problem: error.message };
    throw error;
  }
}
