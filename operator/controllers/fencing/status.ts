/** What people see of a fence agent: each node, and why it was or wasn’t fenced. */
import type { FenceAgent, FenceAgentStatus, FencingState } from '../../api/fence-agent.ts';
import type { Condition } from '../../api/cluster-status.ts';
import type { FenceAgentConditionReason, FenceAgentConditionType } from '../../api/conditions.ts';
import type { EventReason } from '../../api/event-reasons.ts';
import type { Verdict } from './decide.ts';

type NodeStatus = NonNullable<FenceAgentStatus['nodes']>[number];

export function fenceAgentStatus(agent: FenceAgent, verdicts: readonly Verdict[], now: number): FenceAgentStatus {
  const { metadata, spec, status: before } = agent;
  const nodes = spec.nodes
    .map(({ name }) => name)
    .toSorted()
    .flatMap((name): NodeStatus[] => {
      const verdict = verdicts.find(({ node }) => node === name);
      if (!verdict) return [];
      const old = before.nodes?.find((node) => node.name === name);
      const since = old?.state === verdict.state ? old.since : seconds(now);
      return [{ name, state: verdict.state, message: verdict.message.slice(0, 1024), since }];
    });
  const failed = nodes.find(({ state }) => state === 'Failed');
  const message = failed ? `${failed.name}: ${failed.message}` : 'Nothing stands in the way.';
  return {
    observedGeneration: metadata.generation,
    summary: summaryOf(nodes),
    fenced: nodes.filter(({ state }) => state === 'Fenced' || state === 'Returning').length,
    nodes,
    conditions: failed
      ? conditionsOf(agent, now, { ready: 'FencingFailed', stalled: 'FencingFailed', message })
      : conditionsOf(agent, now, { ready: 'Watching', stalled: 'Progressing', message }),
  };
}

/** Of one that can’t be understood. */
export const invalidFenceAgentStatus = (
  agent: Pick<FenceAgent, 'metadata' | 'status'>,
  message: string,
  now: number,
): FenceAgentStatus => ({
  ...agent.status,
  observedGeneration: agent.metadata.generation,
  summary: 'Invalid',
  conditions: conditionsOf(agent, now, { ready: 'SpecInvalid', stalled: 'SpecInvalid', message }),
});

function conditionsOf(
  { metadata, status }: Pick<FenceAgent, 'metadata' | 'status'>,
  now: number,
  {
    ready,
    stalled,
    message,
  }: {
    readonly ready: FenceAgentConditionReason<'Ready'>;
    readonly stalled: FenceAgentConditionReason<'Stalled'>;
    readonly message: string;
  },
): Condition[] {
  const condition = (type: FenceAgentConditionType, is: boolean, reason: string): Condition => {
    const old = status.conditions?.find((one) => one.type === type);
    const value = is ? 'True' : 'False';
    return {
      type,
      status: value,
      observedGeneration: metadata.generation,
      lastTransitionTime: old?.status === value ? old.lastTransitionTime : seconds(now),
      reason,
      message: message.slice(0, 2048),
    };
  };
  return [condition('Ready', ready === 'Watching', ready), condition('Stalled', stalled !== 'Progressing', stalled)];
}

const order: readonly FencingState[] = ['Failed', 'Fencing', 'Returning', 'Fenced', 'Held', 'Waiting', 'Healthy'];

function summaryOf(nodes: readonly NodeStatus[]): string {
  const parts = order.flatMap((state) => {
    const count = nodes.filter((node) => node.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return parts.join(', ').slice(0, 256);
}

export interface FencingEvent {
  readonly node: string;
  readonly reason: EventReason;
  readonly note: string;
}

const reasons: Readonly<Record<Exclude<FencingState, 'Waiting'>, EventReason>> = {
  Healthy: 'NodeReturned',
  Held: 'NodeNotFenced',
  Fencing: 'NodeFencing',
  Fenced: 'NodeFenced',
  Returning: 'NodeReturning',
  Failed: 'NodeFencingFailed',
};
/** What is told step by step; of the others only that they begin. */
const steps: ReadonlySet<FencingState> = new Set(['Fencing', 'Fenced', 'Returning']);

/** One event for each step, told by the agent that takes it. */
export function fencingEvents(
  agent: string,
  before: FenceAgentStatus,
  after: FenceAgentStatus,
  verdicts: readonly Verdict[],
): readonly FencingEvent[] {
  return (after.nodes ?? []).flatMap(({ name, state, message }): FencingEvent[] => {
    const old = before.nodes?.find((node) => node.name === name);
    const isNews = old?.state !== state || (steps.has(state) && old.message !== message);
    const isOwn = verdicts.some((verdict) => verdict.node === name && verdict.agent === agent);
    if (!isNews || !isOwn || state === 'Waiting') return [];
    // A node that was never in trouble has not come back.
    if (state === 'Healthy' && (old === undefined || old.state === 'Waiting' || old.state === 'Held')) return [];
    return [{ node: name, reason: reasons[state], note: message }];
  });
}

const seconds = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(/\.\d+Z/, 'Z');
