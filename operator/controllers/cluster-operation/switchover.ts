import { keys, type InstanceName } from '../../api/cluster-state.ts';
import { eligibleForSwitchover, runningPrimary } from '../database-cluster/instances.ts';
import { isWell, publishedTags, switchoverCandidate } from '../switchover-candidate.ts';
import type { ClusterNow } from './facts.ts';
import { unknownInstance } from './instance.ts';
import type { Plan, Procedure } from './procedure.ts';

export const switchover: Procedure = {
  waitsForOthers: true,

  plan({ switchover: asked }, cluster): Plan {
    const { facts, runtime } = cluster;
    const from = runningPrimary(runtime);
    const to = asked?.to;
    if (to !== undefined && from === to) return { verdict: 'nothing-to-do', message: `${to} is primary already.` };
    const problem = to === undefined ? undefined : unfitness(cluster, to);
    if (problem !== undefined) return { verdict: 'refused', because: problem };
    if (from === undefined) return { verdict: 'wait', because: 'nobody is primary' };
    if (runtime.requests.has(keys.switchover))
      return { verdict: 'wait', because: 'another switchover is asked for already' };
    const fit = eligibleForSwitchover(facts).filter((instance) => counts(cluster, instance));
    const chosen = to ?? switchoverCandidate(runtime, fit);
    if (chosen === undefined)
      return {
        verdict: 'refused',
        because: `no replica is fit to take over from ${from}: it must be ready, stream as a member of the sync set, and not be tagged noFailover`,
      };
    return {
      verdict: 'begin',
      message: `${from} hands over to ${chosen}.`,
      ...(to !== undefined && { to }),
      asks: { key: keys.switchover, request: { from, to: chosen } },
    };
  },

  course({ epoch, primary, to }, { runtime }, standing) {
    const leader = runningPrimary(runtime);
    if (standing || leader === undefined || runtime.epoch <= epoch)
      return {
        verdict: 'running',
        message: standing ? `${primary ?? ''} is asked to hand over.` : 'A successor is being elected.',
      };
    if (leader === primary) return { verdict: 'failed', message: `${leader} has become primary again.` };
    if (to !== undefined && leader !== to)
      return { verdict: 'failed', message: `${leader} has become primary, not ${to}.` };
    return { verdict: 'complete', message: `${leader} took over from ${primary ?? ''} in epoch ${runtime.epoch}.` };
  },

  /** Once it stops, going on is the shortest way back to service. */
  mayTakeBack: ({ primary }, { runtime }) => runningPrimary(runtime) === primary,
};

/** Why this instance can't take over, by the rule of the agents. */
function unfitness(cluster: ClusterNow, instance: InstanceName): string | undefined {
  const { runtime } = cluster;
  const unknown = unknownInstance(cluster, instance);
  if (unknown !== undefined) return unknown;
  if (publishedTags(runtime, instance).noFailover) return `${instance} is tagged noFailover`;
  const member = runtime.members.get(instance);
  if (!isWell(member))
    return `${instance} does not follow the primary: ${member?.failing ?? member?.message ?? member?.state ?? 'its agent is silent'}`;
  return counts(cluster, instance) ? undefined : `${instance} is not a member of the sync set yet: wait until it is`;
}

const counts = ({ runtime }: ClusterNow, instance: InstanceName): boolean =>
  runtime.sync?.members.some((voter) => voter.instance === instance) ?? false;
