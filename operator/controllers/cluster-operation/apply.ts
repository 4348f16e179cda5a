/** apply(actions): nothing is decided here. Each write holds only for what was seen. */
import { clusterPrefix, keys, type ClusterIdentity } from '../../api/cluster-state.ts';
import type { Compare, Dcs, Write } from '../../dcs/dcs.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import type { OperatorMetrics } from '../metrics.ts';
import type { Action } from './decide.ts';
import { clusterOperations } from './sources.ts';

export interface OperationEffector {
  readonly client: KubernetesClient;
  readonly dcs: Dcs;
  readonly metrics: Pick<OperatorMetrics, 'action'>;
  readonly log: Logger;
}

const callTimeoutMs = 10_000;
const txnTimeoutMs = 5_000;

/** In order; the first error ends it, and what is left is decided anew. */
export async function apply(
  effector: OperationEffector,
  cluster: ClusterIdentity,
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<void> {
  for (const action of actions) {
    const about = { cluster: `${cluster.namespace}/${cluster.name}`, operation: action.name, action: action.type };
    try {
      await applyOne(effector, cluster, action, signal);
      effector.metrics.action(action.type, 'done');
      effector.log.info(about, 'done');
    } catch (error) {
      signal.throwIfAborted();
      effector.metrics.action(action.type, 'failed');
      effector.log.warn({ ...about, err: error }, 'failed');
      throw error;
    }
  }
}

async function applyOne(
  { client, dcs }: OperationEffector,
  cluster: ClusterIdentity,
  action: Action,
  signal: AbortSignal,
): Promise<void> {
  if (action.type === 'delete-operation') {
    const { namespace } = cluster;
    const { name, seen } = action;
    await client.delete(clusterOperations, { namespace, name }, seen, { signal, timeoutMs: callTimeoutMs });
    return;
  }
  const { compare, writes } = transactionFor(action, clusterPrefix(cluster));
  const result = await dcs.txn(compare, writes, { milliseconds: txnTimeoutMs, signal });
  if (result.outcome === 'unknown') throw result.cause;
  if (result.outcome === 'refused')
    throw new MainstayError(
      'DcsRejected',
      'Somebody else has changed the operation or its request meanwhile; looking again.',
      {
        retryable: true,
      },
    );
}

function transactionFor(
  action: Exclude<Action, { readonly type: 'delete-operation' }>,
  prefix: string,
): { readonly compare: readonly Compare[]; readonly writes: readonly Write[] } {
  const key = prefix + keys.operation(action.name);
  switch (action.type) {
    case 'begin-operation':
    case 'continue-operation': {
      const { record, modRevision, removes } = action;
      const removed = removes && { key: prefix + removes.key, modRevision: removes.modRevision };
      const request = action.request && { key: prefix + action.request.key, value: action.request.value };
      return {
        compare: [
          asSeen(key, modRevision),
          ...(request ? [{ key: request.key, is: 'absent' as const }] : []),
          ...(removed ? [asSeen(removed.key, removed.modRevision)] : []),
        ],
        writes: [
          { put: key, value: JSON.stringify(record) },
          ...(request ? [{ put: request.key, value: JSON.stringify(request.value) }] : []),
          ...(removed ? [{ delete: removed.key }] : []),
        ],
      };
    }
    case 'conclude-operation': {
      const { withdraw, modRevision, record } = action;
      const request = withdraw && { key: prefix + withdraw.key, modRevision: withdraw.modRevision };
      return {
        compare: [
          asSeen(key, modRevision),
          ...(request ? [{ key: request.key, is: 'modRevision' as const, modRevision: request.modRevision }] : []),
        ],
        writes: [{ put: key, value: JSON.stringify(record) }, ...(request ? [{ delete: request.key }] : [])],
      };
    }
    case 'forget-operation':
      return {
        compare: [{ key, is: 'modRevision', modRevision: action.modRevision }],
        writes: [{ delete: key }],
      };
  }
}

const asSeen = (key: string, modRevision: number | undefined): Compare =>
  modRevision === undefined ? { key, is: 'absent' } : { key, is: 'modRevision', modRevision };
