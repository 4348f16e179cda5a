import { keys } from '../../api/cluster-state.ts';
import { runningPrimary } from '../database-cluster/instances.ts';
import { unknownInstance } from './instance.ts';
import type { Plan, Procedure } from './procedure.ts';

/** A failover by force, for a cluster in which nobody may lead. What could be lost is judged by the candidate's agent. */
export const failover: Procedure = {
  waitsForOthers: false,

  plan({ failover: asked }, cluster): Plan {
    const { runtime } = cluster;
    const refused = (because: string): Plan => ({ verdict: 'refused', because });
    if (!asked) return refused('spec.failover is missing');
    const { to, acceptDataLoss, othersAreOff } = asked;
    const primary = runningPrimary(runtime);
    if (primary === to) return { verdict: 'nothing-to-do', message: `${to} is primary already.` };
    if (primary !== undefined) return refused(`${primary} serves as primary: ask for a Switchover`);
    const unknown = unknownInstance(cluster, to);
    if (unknown !== undefined) return refused(unknown);
    if (!runtime.members.has(to)) return refused(`${to} is not there: choose an instance whose agent runs`);
    if (runtime.requests.has(keys.failover))
      return { verdict: 'wait', because: 'another failover is asked for already' };
    const loss = acceptDataLoss ? 'with the writes that it lacks lost' : 'if no acknowledged write can be lost';
    const now = runtime.explanation ? ` Now: ${runtime.explanation.summary}` : '';
    return {
      verdict: 'begin',
      message: `${to} leads, ${loss}.${now}`,
      to,
      asks: { key: keys.failover, request: { to, acceptDataLoss, fenced: othersAreOff } },
    };
  },

  course({ epoch, to }, { runtime }, standing) {
    const leader = runningPrimary(runtime);
    if (leader === undefined || runtime.epoch <= epoch)
      return {
        verdict: 'running',
        message: standing ? `${to ?? ''} is asked to lead.` : `${to ?? ''} is becoming primary.`,
      };
    if (leader !== to) return { verdict: 'failed', message: `${leader} has become primary, not ${to ?? ''}.` };
    return { verdict: 'complete', message: `${leader} leads epoch ${runtime.epoch}.` };
  },

  /** It is taken up in one transaction. */
  mayTakeBack: () => true,
};
