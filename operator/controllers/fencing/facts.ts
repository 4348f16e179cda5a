/** What is known when it is decided whether a node is fenced. Every remote fact is true, false or unknown. */
import type { FenceAgent } from '../../api/fence-agent.ts';
import type { FenceCall } from '../../resources/fence-job.ts';

export interface FencingFacts {
  /** Wall-clock milliseconds. */
  readonly now: number;
  readonly agents: readonly FenceAgent[];
  readonly nodes: ReadonlyMap<string, FencedNode>;
  readonly jobs: readonly FenceJobState[];
  /** Instances of ours by the node on which their Pods are. */
  readonly instances: ReadonlyMap<string, readonly InstanceThere[]>;
}

export interface FencedNode {
  readonly uid: string;
  readonly ready: boolean;
  /** When `ready` last changed. */
  readonly since: number;
  readonly outOfService: boolean;
  /** What we wrote on it when we marked it out of service. */
  readonly fenced: FencedMark | undefined;
}

export interface FencedMark {
  readonly agent: string;
  readonly incident: string;
  /** Milliseconds. */
  readonly at: number;
}

export interface FenceJobState {
  readonly call: FenceCall;
  readonly state: 'running' | 'complete' | 'failed';
  /** Milliseconds; of one that is over. */
  readonly endedAt: number;
}

export interface InstanceThere {
  /** As in `shop/orders-1`. */
  readonly name: string;
  /** Whether its agent holds a lease in etcd: then it is alive, whatever Kubernetes thinks of its node. */
  readonly lease: 'held' | 'none' | 'unknown';
}
