import type { EventReason } from '../../api/event-reasons.ts';
import { clusterPrefix, type ClusterIdentity } from '../../api/cluster-state.ts';
import type { ReconcileResult } from '../../kubernetes/controller.ts';
import type { Logger } from '../../platform/log.ts';
import { currentRuntime } from '../database-cluster/facts.ts';
import { eligibleForSwitchover } from '../database-cluster/instances.ts';
import { observe, type Observer } from '../database-cluster/observe.ts';
import { clusterKeys } from '../database-cluster/sources.ts';
import type { SwitchoverRequests } from '../switchover-requests.ts';
import { decideDrain, stuckDrains, type ClusterOnNode } from './decide.ts';
import { nodeState } from './node-state.ts';

export interface NodeController {
  readonly observer: Observer;
  readonly requests: SwitchoverRequests;
  readonly note: (cluster: ClusterIdentity, reason: EventReason, note: string) => void;
  /** When a stuck drain was last told of, by node and cluster. */
  readonly toldOfDrains: Map<string, number>;
  readonly log: Logger;
}

/** A node that is being emptied is looked at again: its primary may find a successor, or a failover may bring one here. */
const lookAgainMs = 2_000;
/** The same news of a drain again: it may take days. */
const tellAgainMs = 600_000;

export async function reconcileNode(
  controller: NodeController,
  name: string,
  signal: AbortSignal,
): Promise<ReconcileResult> {
  const { observer, requests, note, log } = controller;
  const stored = observer.sources.nodes.get(name);
  const node = stored && nodeState(stored);
  if (!node?.draining) {
    for (const key of controller.toldOfDrains.keys())
      if (key.startsWith(`${name} `)) controller.toldOfDrains.delete(key);
    return {};
  }
  const clusters = await clustersOn(observer, name, signal);
  for (const { identity, note: text } of stuckDrains({ name, node, clusters })) {
    const key = `${name} ${clusterPrefix(identity)}`;
    const now = observer.clock.now();
    if (now - (controller.toldOfDrains.get(key) ?? -Infinity) < tellAgainMs) continue;
    controller.toldOfDrains.set(key, now);
    note(identity, 'DrainBlocked', text);
  }
  for (const { identity, from, to } of decideDrain({ name, node, clusters })) {
    if (!(await requests.request(identity, { from, to, reason: 'NodeDrain' }, signal))) continue;
    note(identity, 'SwitchoverRequested', `From ${from} to ${to}: node ${name} is being drained.`);
    log.info({ node: name, cluster: identity, from, to }, 'switchover requested: the node is being drained');
  }
  return clusters.length === 0 ? {} : { requeueAfterMs: lookAgainMs };
}

async function clustersOn(observer: Observer, node: string, signal: AbortSignal): Promise<readonly ClusterOnNode[]> {
  const here = observer.sources.pods.list().filter((pod) => pod.spec?.nodeName === node);
  const keys = [...new Set(here.flatMap(clusterKeys))];
  const observed = await Promise.all(
    keys.map(async (key): Promise<readonly ClusterOnNode[]> => {
      const facts = await observe(observer, key, 'cached', signal);
      if (!facts || facts.cluster.metadata.deletionTimestamp !== undefined) return [];
      const { namespace, name } = facts.cluster.metadata;
      return [
        {
          identity: { namespace, name, uid: facts.dataUid },
          paused: facts.cluster.spec.paused,
          runtime: currentRuntime(facts),
          instancesHere: facts.pods.filter((pod) => pod.node === node).map((pod) => pod.instance),
          eligible: eligibleForSwitchover(facts),
          sinceSwitchoverRequestMs: facts.sinceSwitchoverRequestMs,
        },
      ];
    }),
  );
  return observed.flat();
}
