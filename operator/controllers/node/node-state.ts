import type { V1Node } from '@kubernetes/client-node';
import type { Wire } from '../../kubernetes/kinds.ts';

/** What a node's own object says about its future. */
export interface NodeState {
  readonly ready: boolean;
  /** Cordoned, or about to be drained or removed. */
  readonly draining: boolean;
  /** Someone vouches that it is off. */
  readonly outOfService: boolean;
  readonly zone: string | undefined;
}

/** Kubernetes then takes the node's volumes away from it at once, and forgets its Pods. */
export const outOfServiceTaint = 'node.kubernetes.io/out-of-service';
/** On a node that we have fenced: by whom, and when. */
export const fencedAnnotation = 'mainstay.dev/fenced';
export const zoneLabel = 'topology.kubernetes.io/zone';

/** Taints by which autoscalers announce that a node will go; `kubectl drain` cordons before it evicts. */
const drainTaints = new Set([
  'node.kubernetes.io/unschedulable',
  'ToBeDeletedByClusterAutoscaler',
  'karpenter.sh/disrupted',
  'karpenter.sh/disruption',
]);

export function nodeState(node: Wire<V1Node>): NodeState {
  const taints = node.spec?.taints ?? [];
  return {
    ready: node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    draining: node.spec?.unschedulable === true || taints.some((taint) => drainTaints.has(taint.key)),
    outOfService: taints.some((taint) => taint.key === outOfServiceTaint),
    zone: node.metadata?.labels?.[zoneLabel],
  };
}
