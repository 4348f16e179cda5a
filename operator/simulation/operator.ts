/** The Kubernetes operator as far as the protocol meets it: it removes instances that nothing depends on any more. */
import { keys, type SwitchoverRequest } from '../api/cluster-state.ts';
import { mayLeave } from '../ha/may-leave.ts';
import type { ClusterView } from '../ha/view.ts';
import type { Cluster } from './cluster.ts';
import { wallClock, type Instance } from './instance.ts';

const period = 1000;
const switchoverDeadline = 30_000;

export function runOperator(cluster: Cluster): void {
  const { time, etcd, instances, judge, random, trace, bug } = cluster;
  /** Instances whose pod is deleted; their volume is still there. */
  const stopped = new Set<Instance>();

  /** First the pod, then, if nothing depends on it still, the volume. */
  function remove(instance: Instance): void {
    if (!stopped.has(instance)) {
      trace('operator', `deletes the pod of ${instance.name}`);
      stopped.add(instance);
      instance.kill(Infinity);
      return;
    }
    trace('operator', `deletes the volume of ${instance.name}`);
    judge.destroys(instance.name, instance.volume.incarnation);
    stopped.delete(instance);
    instance.lost = true;
    instance.kill(Infinity);
    instance.loseVolume();
  }

  function look(): void {
    const view = etcd.view();
    // What it has read is a little old when it acts.
    time.after(random.between(10, 300), () => {
      act(view);
      time.after(period, look);
    });
  }

  function act(view: ClusterView): void {
    for (const [instance, { value }] of view.fences)
      if (time.now() >= Number(value.id)) etcd.delete(keys.fence(instance));
    // The definition is its own work, the rest may have changed since.
    const { definition } = etcd.view();
    const wanted = definition?.instances ?? [];
    if (judge.untrusted()) return;
    for (const instance of stopped)
      if (wanted.includes(instance.name)) {
        stopped.delete(instance);
        instance.start();
      }
    const surplus = [...instances.values()].find(({ name, lost }) => !lost && !wanted.includes(name));
    if (!surplus) return;
    const dependents = { definition, leader: view.leader?.value, sync: view.sync?.value };
    if (mayLeave(dependents, surplus.name) || bug?.model === 'removed-while-counted') remove(surplus);
    else if (view.leader?.value.instance === surplus.name && !view.switchover)
      etcd.put(keys.switchover, {
        id: `${time.now()}`,
        from: surplus.name,
        reason: 'it is being removed',
        deadline: wallClock(time.now() + switchoverDeadline),
      } satisfies SwitchoverRequest);
  }
  look();
}
