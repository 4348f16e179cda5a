import { keys } from '../../api/cluster-state.ts';
import { effectiveDurability } from '../../api/durability.ts';
import { isAvailable, runningPrimary } from '../database-cluster/instances.ts';
import { unknownInstance } from './instance.ts';
import type { ClusterNow } from './facts.ts';
import type { Plan, Procedure } from './procedure.ts';

/** A replica's data are replaced by a new clone, made beside the old ones. */
export const reinitialize: Procedure = {
  waitsForOthers: true,

  plan({ reinitialize: asked }, cluster): Plan {
    const { runtime } = cluster;
    const instance = asked?.instance ?? '';
    const because = unknownInstance(cluster, instance) ?? sparing(cluster, instance);
    if (because !== undefined) return { verdict: 'refused', because };
    const member = runtime.members.get(instance);
    if (!member) return { verdict: 'refused', because: `the agent of ${instance} is silent` };
    const primary = runningPrimary(runtime);
    if (primary === undefined) return { verdict: 'wait', because: 'nobody is primary' };
    if (runtime.requests.has(keys.reinitialize(instance)))
      return { verdict: 'wait', because: `a new clone of ${instance} is asked for already` };
    return {
      verdict: 'begin',
      message: `${instance} leaves the sync set, clones anew and follows ${primary}.`,
      targets: [instance],
      asks: { key: keys.reinitialize(instance), request: { incarnation: member.incarnation }, instance },
    };
  },

  course({ targets: [instance = ''] }, { facts, runtime }, standing) {
    const member = runtime.members.get(instance);
    if (!standing && isAvailable(facts, runtime, instance))
      return { verdict: 'complete', message: `${instance} has new data, and follows.` };
    const doing = member
      ? [member.state, ...(member.message === undefined ? [] : [member.message])].join(': ')
      : 'silent';
    return { verdict: 'running', message: `${instance} is ${doing}.` };
  },

  /** A clone that is begun is the way back to a whole copy. */
  mayTakeBack: ({ targets: [instance = ''] }, { runtime }) =>
    ['streaming', 'diverged', 'starting', 'stopped'].includes(runtime.members.get(instance)?.state ?? ''),
};

/** Why this instance can't be done without for as long as a clone takes. */
function sparing({ facts, runtime }: ClusterNow, instance: string): string | undefined {
  if (runtime.leader?.instance === instance) return `${instance} is primary: switch over first`;
  const { mode, acknowledgements } = effectiveDurability(facts.cluster.spec);
  const others = (runtime.sync?.members ?? []).filter((voter) => voter.instance !== instance).length;
  return mode === 'Strict' && others < acknowledgements
    ? `all writes would wait until ${instance} is back: ${acknowledgements} replicas must hold each, ${others} would be left`
    : undefined;
}
