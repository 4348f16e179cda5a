import type { ClusterRuntime } from '../../operator/controllers/cluster-runtime.ts';

/** What keeps a cluster from surviving the loss of any one of these instances, by etcd's word; empty: nothing. */
export function whatIsMissing(
  { leader, sync, members, switchover }: Pick<ClusterRuntime, 'leader' | 'sync' | 'members' | 'switchover'>,
  instances: readonly string[],
): readonly string[] {
  if (leader === undefined || sync === undefined) return ['no leader'];
  const others = instances.filter((instance) => instance !== leader.instance);
  const uncounted = others.filter((one) => !sync.members.some((member) => member.instance === one));
  const idle = others.filter((one) => members.get(one)?.state !== 'streaming');
  return [
    ...(switchover === undefined ? [] : ['a switchover is asked for']),
    ...(members.get(leader.instance)?.state === 'running' ? [] : [`${leader.instance} leads and does not serve yet`]),
    ...(uncounted.length === 0 ? [] : [`not in the sync set: ${uncounted.join()}`]),
    ...(idle.length === 0 ? [] : [`not streaming: ${idle.join()}`]),
  ];
}
