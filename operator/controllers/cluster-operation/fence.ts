/** One database is stopped and kept so, whatever restarts its Pod or agent, until it is unfenced. */
import { keys, type InstanceName } from '../../api/cluster-state.ts';
import { effectiveDurability } from '../../api/durability.ts';
import { ifLostText } from '../explanation.ts';
import { isAvailable } from '../database-cluster/instances.ts';
import { isWell } from '../switchover-candidate.ts';
import type { ClusterNow } from './facts.ts';
import { unknownInstance } from './instance.ts';
import type { Plan, Procedure } from './procedure.ts';

export const fence: Procedure = {
  waitsForOthers: false,

  plan({ fence: asked }, cluster): Plan {
    const { runtime } = cluster;
    const instance = asked?.instance ?? '';
    const refused = (because: string): Plan => ({ verdict: 'refused', because });
    const unknown = unknownInstance(cluster, instance);
    if (unknown !== undefined) return refused(unknown);
    const member = runtime.members.get(instance);
    if (!member) return refused(`the agent of ${instance} is silent: nobody there could stop anything`);
    if (runtime.fences.get(instance)?.incarnation === member.incarnation)
      return { verdict: 'nothing-to-do', message: `${instance} is fenced already.` };
    const { isHarmless, meaning } = consequenceOf(cluster, instance);
    if (!isHarmless && asked?.acceptOutage !== true)
      return refused(`without ${instance}: ${meaning}. To fence it all the same, ask again with acceptOutage`);
    return {
      verdict: 'begin',
      message: `The database of ${instance} stops and stays so; ${meaning}.`,
      targets: [instance],
      asks: { key: keys.fence(instance), request: { incarnation: member.incarnation }, instance },
    };
  },

  course({ targets: [instance = ''] }, { runtime }, standing) {
    if (!standing) return { verdict: 'failed', message: `${instance} was unfenced meanwhile.` };
    return runtime.members.get(instance)?.state === 'stopped' && runtime.leader?.instance !== instance
      ? { verdict: 'complete', message: `The database of ${instance} is stopped, and stays so until it is unfenced.` }
      : { verdict: 'running', message: `The database of ${instance} is stopping.` };
  },

  mayTakeBack: () => true,
};

function consequenceOf(
  { facts, runtime }: ClusterNow,
  instance: InstanceName,
): { readonly isHarmless: boolean; readonly meaning: string } {
  const consequence = runtime.explanation?.ifLost.get(instance);
  if (!consequence) return { isHarmless: false, meaning: 'nobody can tell what that would mean now' };
  const leader = runtime.leader?.instance;
  const others = [...runtime.members.values()].filter(
    (member) => member.instance !== instance && member.instance !== leader && isWell(member),
  ).length;
  // One of them becomes primary, and needs replicas of its own.
  const replicas = leader === instance ? others - 1 : others;
  const { mode, acknowledgements } = effectiveDurability(facts.cluster.spec);
  if (consequence.outcome === 'failover' && mode === 'Strict' && replicas < acknowledgements)
    return { isHarmless: false, meaning: `${ifLostText(consequence)}, and writes wait for replicas there` };
  const isHarmless = consequence.outcome === 'failover' || consequence.outcome === 'unaffected';
  return { isHarmless, meaning: ifLostText(consequence) };
}

export const unfence: Procedure = {
  waitsForOthers: false,

  plan({ unfence: asked }, cluster): Plan {
    const instance = asked?.instance ?? '';
    const present = cluster.runtime.fences.get(instance);
    if (!present) {
      const unknown = unknownInstance(cluster, instance);
      return unknown === undefined
        ? { verdict: 'nothing-to-do', message: `${instance} is not fenced.` }
        : { verdict: 'refused', because: unknown };
    }
    return {
      verdict: 'begin',
      message: `The database of ${instance} starts again.`,
      targets: [instance],
      asks: undefined,
      removes: { key: keys.fence(instance), modRevision: present.modRevision },
    };
  },

  course({ targets: [instance = ''] }, { facts, runtime }) {
    return isAvailable(facts, runtime, instance)
      ? { verdict: 'complete', message: `The database of ${instance} runs again.` }
      : { verdict: 'running', message: `Waiting until ${instance} is back.` };
  },

  mayTakeBack: () => false,
};
