/** One reconcile of all fence agents: observe → decide → apply, and what people see. One key: how many nodes may be fenced is one decision. */
import { isDeepStrictEqual } from 'node:util';
import { FenceAgentResource, parseFenceAgent, type FenceAgent, type FenceAgentStatus } from '../../api/fence-agent.ts';
import type { EventReason } from '../../api/event-reasons.ts';
import { apiVersion } from '../../api/api-group.ts';
import type { ReconcileResult } from '../../kubernetes/controller.ts';
import type { ApiObject } from '../../kubernetes/kinds.ts';
import { MainstayError } from '../../platform/errors.ts';
import { statusPatch } from '../database-cluster/status-change.ts';
import { applyFencing, type FencingEffector } from './apply.ts';
import { decideFencing, judgeNodes } from './decide.ts';
import { observeFencing, type FencingObserver } from './observe.ts';
import { fenceAgents, type StoredFenceAgent } from './sources.ts';
import { fenceAgentStatus, fencingEvents, invalidFenceAgentStatus } from './status.ts';

export interface FencingController {
  readonly observer: FencingObserver;
  readonly effector: FencingEffector;
  readonly note: (regarding: ApiObject, reason: EventReason, note: string) => void;
}

const fieldManager = 'mainstay.dev/fencing';
const callTimeoutMs = 10_000;
/** While a node is in trouble: leases end, and time passes, without a word from the API server. */
const lookAgainMs = 2_000;

export function fencingReconciler({
  observer,
  effector,
  note,
}: FencingController): (key: string, signal: AbortSignal) => Promise<ReconcileResult> {
  return async (_key, signal) => {
    const { agents, unreadable } = readAgents(observer.sources.agents.list());
    const cached = await observeFencing(observer, agents, 'cached', signal);
    // The local copies may be behind: what is to be done to a node is decided anew on what is true now.
    if (decideFencing(cached).length > 0) {
      const now = await observeFencing(observer, agents, 'now', signal);
      await applyFencing(effector, decideFencing(now), signal);
    }
    const verdicts = judgeNodes(cached);
    for (const agent of agents) {
      const after = fenceAgentStatus(agent, verdicts, cached.now);
      if (!(await writeStatus(agent, after, signal))) continue;
      for (const { node, reason, note: text } of fencingEvents(agent.metadata.name, agent.status, after, verdicts)) {
        note(referenceTo(agent), reason, `${node}: ${text}`);
        note({ apiVersion: 'v1', kind: 'Node', metadata: { name: node, uid: node } }, reason, text);
      }
    }
    for (const { agent, problem } of unreadable)
      await writeStatus(agent, invalidFenceAgentStatus(agent, problem, cached.now), signal);
    return verdicts.every(({ state }) => state === 'Healthy') ? {} : { requeueAfterMs: lookAgainMs };
  };

  /** Whether there was anything new. */
  async function writeStatus(
    { metadata, status }: Pick<FenceAgent, 'metadata' | 'status'>,
    after: FenceAgentStatus,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (isDeepStrictEqual(status, after)) return false;
    await observer.clusters.client.patch(
      fenceAgents,
      { name: metadata.name },
      { metadata: { uid: metadata.uid }, status: statusPatch(status, after) },
      { fieldManager, subresource: 'status' },
      { signal, timeoutMs: callTimeoutMs },
    );
    return true;
  }
}

const referenceTo = ({ metadata: { name, uid } }: FenceAgent): ApiObject => ({
  apiVersion,
  kind: 'FenceAgent',
  metadata: { name, uid },
});

interface ReadAgents {
  readonly agents: readonly FenceAgent[];
  readonly unreadable: readonly {
    readonly agent: Pick<FenceAgent, 'metadata' | 'status'>;
    readonly problem: string;
  }[];
}

function readAgents(stored: readonly StoredFenceAgent[]): ReadAgents {
  const agents: FenceAgent[] = [];
  const unreadable: ReadAgents['unreadable'][number][] = [];
  for (const one of stored) {
    try {
      agents.push(parseFenceAgent(one));
    } catch (error) {
      if (!(error instanceof MainstayError)) throw error;
      const { metadata, status } = FenceAgentResource.shape;
      unreadable.push({
        agent: {
          metadata: metadata.parse(one.metadata),
          status: status.safeParse(one.status ?? {}).data ?? { observedGeneration: -1 },
        },
        problem: error.message,
      });
    }
  }
  return { agents, unreadable };
}
