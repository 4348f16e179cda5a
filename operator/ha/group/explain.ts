/** Why a group has a primary or none, and what the loss of each member would mean now. */
import type { InstanceName } from '../../api/cluster-state.ts';
import type { Consequence } from '../explain.ts';
import { tagsOf } from '../successor.ts';
import type { ClusterView } from '../view.ts';
import { whyNoGroup } from './form.ts';
import { takingPart } from './promises.ts';

/** Without anybody in etcd who speaks for the group. */
export function whyNoPrimary(view: ClusterView): string {
  if (!view.initialize)
    return view.bootstrap ? `${view.bootstrap.value} initialises the cluster.` : 'No instance has started yet.';
  if (view.initialize.etcdClusterId !== view.etcdClusterId)
    return 'etcd is not the one that the cluster began with (restored, or replaced): a group that is there goes on, and nobody forms or joins one.';
  const there = takingPart(view);
  return there.length > 0 ? `The group of ${there.join(', ')} is electing a primary.` : whyNoGroup(view);
}

export function verdictInGroup(view: ClusterView, instance: InstanceName): string {
  const member = view.members.get(instance);
  if (!member) return 'is not there';
  return member.group?.online ? 'is a member of the group' : (member.message ?? 'is no member of the group');
}

export function lossInGroup(view: ClusterView, lost: InstanceName): Consequence {
  const sync = view.sync?.value;
  const leader = view.leader?.value.instance;
  if (!sync || leader === undefined) return { outcome: 'blocked', text: 'There is no primary now.' };
  const recorded = [sync.primary, ...sync.members].map(({ instance }) => instance);
  const there = recorded.filter((instance) => view.members.get(instance)?.group?.online === true);
  if (!there.includes(lost)) return { outcome: 'unaffected', text: 'The group goes on without it, as it does now.' };
  const left = there.filter((instance) => instance !== lost);
  if (2 * left.length <= recorded.length)
    return {
      outcome: 'writes-stop',
      text: `${left.length} of ${recorded.length} members are no majority: the group stands still until it is back, or all tell what they hold.`,
    };
  if (lost !== leader || view.definition?.group?.mode === 'MultiPrimary')
    return { outcome: 'unaffected', text: `The group goes on with ${left.join(', ')}.` };
  const successor = left.toSorted((a, b) => tagsOf(view, b).priority - tagsOf(view, a).priority)[0];
  return {
    outcome: 'failover',
    ...(successor !== undefined && left.length === 1 && { successor }),
    text: `The group elects one of ${left.join(', ')} after about seven seconds; nothing acknowledged is lost.`,
  };
}
