/** observe() → facts: from local copies, or, before a node is touched, from the API server and etcd as of now. */
import type { V1Job } from '@kubernetes/client-node';
import { z } from 'zod';
import type { FenceAgent } from '../../api/fence-agent.ts';
import { jobs as jobKind, nodes as nodeKind, type Wire } from '../../kubernetes/kinds.ts';
import { fenceCallAnnotation } from '../../resources/fence-job.ts';
import { currentRuntime } from '../database-cluster/facts.ts';
import { observe, type Freshness, type Observer } from '../database-cluster/observe.ts';
import { clusterKeys, type Node } from '../database-cluster/sources.ts';
import { fencedAnnotation, nodeState } from '../node/node-state.ts';
import type { FencedMark, FencedNode, FenceJobState, FencingFacts, InstanceThere } from './facts.ts';
import type { FencingSources } from './sources.ts';
import { managedSelector } from '../../resources/labels.ts';

export interface FencingObserver {
  readonly clusters: Observer;
  readonly sources: FencingSources;
  /** Of the operator. */
  readonly namespace: string;
}

const callTimeoutMs = 10_000;

export async function observeFencing(
  { clusters, sources, namespace }: FencingObserver,
  agents: readonly FenceAgent[],
  freshness: Freshness,
  signal: AbortSignal,
): Promise<FencingFacts> {
  const { client, clock } = clusters;
  const options = { signal, timeoutMs: callTimeoutMs };
  const [storedNodes, storedJobs] =
    freshness === 'now'
      ? await Promise.all([
          client.list(nodeKind, {}, options).then(({ items }) => items),
          client.list(jobKind, { namespace, labelSelector: managedSelector }, options).then(({ items }) => items),
        ])
      : [clusters.sources.nodes.list(), sources.jobs.list()];
  const nodes = new Map(storedNodes.map((node) => [node.metadata?.name ?? '', observedNode(node)]));
  const named = new Set(agents.flatMap(({ spec }) => spec.nodes.map(({ name }) => name)));
  // Only of these it matters what runs there.
  const unready = [...nodes].filter(([name, { ready }]) => !ready && named.has(name)).map(([name]) => name);
  const instances = new Map(
    await Promise.all(
      unready.map(async (name) => [name, await instancesOn(clusters, name, freshness, signal)] as const),
    ),
  );
  return {
    now: clock.wall().getTime(),
    agents,
    nodes,
    jobs: storedJobs.flatMap((job) => observedJob(job) ?? []),
    instances,
  };
}

async function instancesOn(
  observer: Observer,
  node: string,
  freshness: Freshness,
  signal: AbortSignal,
): Promise<readonly InstanceThere[]> {
  const keys = new Set(
    observer.sources.pods
      .list()
      .filter((pod) => pod.spec?.nodeName === node)
      .flatMap(clusterKeys),
  );
  const found = await Promise.all(
    [...keys].map(async (key): Promise<readonly InstanceThere[]> => {
      const facts = await observe(observer, key, freshness, signal);
      if (!facts) return [];
      const runtime = currentRuntime(facts);
      return facts.pods
        .filter((pod) => pod.node === node)
        .map(({ instance }) => ({
          name: `${facts.cluster.metadata.namespace}/${instance}`,
          lease: !runtime
            ? 'unknown'
            : runtime.members.has(instance) || runtime.leader?.instance === instance
              ? 'held'
              : 'none',
        }));
    }),
  );
  return found.flat();
}

export function observedNode(node: Node): FencedNode {
  const condition = node.status?.conditions?.find(({ type }) => type === 'Ready');
  return {
    uid: node.metadata?.uid ?? '',
    ready: condition?.status === 'True',
    since: Date.parse(condition?.lastTransitionTime ?? '') || 0,
    outOfService: nodeState(node).outOfService,
    fenced: markIn(node.metadata?.annotations?.[fencedAnnotation]),
  };
}

const Mark = z.object({ agent: z.string(), incident: z.string(), at: z.number() });

function markIn(text: string | undefined): FencedMark | undefined {
  return text === undefined ? undefined : Mark.safeParse(parsed(text)).data;
}

const Call = z.object({
  agent: z.string(),
  node: z.string(),
  incident: z.string(),
  step: z.enum(['off', 'verify', 'on']),
  attempt: z.int(),
});

/** Undefined for a Job of somebody else. */
export function observedJob(job: Wire<V1Job>): FenceJobState | undefined {
  const call = Call.safeParse(parsed(job.metadata?.annotations?.[fenceCallAnnotation] ?? ''));
  if (!call.success) return undefined;
  const end = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  return {
    call: call.data,
    state: end === undefined ? 'running' : end.type === 'Complete' ? 'complete' : 'failed',
    endedAt: Date.parse(end?.lastTransitionTime ?? '') || 0,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
