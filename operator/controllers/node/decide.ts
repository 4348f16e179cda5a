/** Before a node is emptied, primaries leave it on purpose: a drain then costs a switchover, not a failover. */
import type { ClusterIdentity, InstanceName } from '../../api/cluster-state.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { switchoverCandidate } from '../switchover-candidate.ts';
import type { NodeState } from './node-state.ts';

export interface NodeFacts {
  readonly name: string;
  /** Undefined when the Node object is gone. */
  readonly node: NodeState | undefined;
  readonly clusters: readonly ClusterOnNode[];
}

/** A cluster with an instance on this node. */
export interface ClusterOnNode {
  readonly identity: ClusterIdentity;
  readonly paused: boolean;
  /** Undefined while etcd does not answer: then nothing is asked for. */
  readonly runtime: ClusterRuntime | undefined;
  readonly instancesHere: readonly InstanceName[];
  /** Ready, staying, and on nodes that are not being drained. */
  readonly eligible: readonly InstanceName[];
  readonly sinceSwitchoverRequestMs: number;
}

export interface HandOver {
  readonly identity: ClusterIdentity;
  readonly from: InstanceName;
  readonly to: InstanceName;
}

/** A primary that would leave, and has nowhere to go. */
export interface StuckDrain {
  readonly identity: ClusterIdentity;
  readonly note: string;
}

/** Shorter than for other switchovers: an eviction is coming. */
export const drainRetryMs = 10_000;

export function decideDrain(facts: NodeFacts): readonly HandOver[] {
  if (facts.node?.draining !== true) return [];
  return facts.clusters.flatMap((cluster) => {
    const { identity, paused, runtime, instancesHere, eligible, sinceSwitchoverRequestMs } = cluster;
    const primary = runtime?.leader?.instance;
    if (paused || !runtime || primary === undefined || !instancesHere.includes(primary)) return [];
    if (runtime.switchover || sinceSwitchoverRequestMs < drainRetryMs) return [];
    const to = switchoverCandidate(runtime, eligible);
    return to === undefined ? [] : [{ identity, from: primary, to }];
  });
}

/** Told to people, because a drain that nobody can end is otherwise noticed days later. */
export function stuckDrains(facts: NodeFacts): readonly StuckDrain[] {
  if (facts.node?.draining !== true) return [];
  return facts.clusters.flatMap((cluster): StuckDrain[] => {
    const { identity, paused, runtime, instancesHere, eligible } = cluster;
    const primary = runtime?.leader?.instance;
    if (!runtime || primary === undefined || !instancesHere.includes(primary)) return [];
    const stays = `Node ${facts.name} is being drained, and the primary ${primary} stays there:`;
    if (paused) return [{ identity, note: `${stays} the cluster is paused. Set spec.paused to false.` }];
    if (runtime.switchover || switchoverCandidate(runtime, eligible) !== undefined) return [];
    const others = [...runtime.members.keys()].filter((instance) => instance !== primary);
    if (others.length === 0)
      return [
        { identity, note: `${stays} there is no other instance. Its eviction stops the database until it runs again.` },
      ];
    const where =
      eligible.filter((instance) => instance !== primary).length === 0
        ? 'no other instance is ready on a node that stays. Uncordon a node, or add one'
        : `none of ${others.toSorted().join(', ')} follows it closely, or may lead. See the reasons in status.instancesStatus`;
    return [{ identity, note: `${stays} ${where}; it leaves as soon as one can take over.` }];
  });
}
