/** The Kubernetes operator as far as the protocol meets it: it removes instances that nothing depends on any more, and gives others new volumes. */
import { keys, type SwitchoverRequest } from '../api/cluster-state.ts';
import { mayBeginAnew, mayLeave } from '../ha/may-leave.ts';
import type { ClusterView } from '../ha/view.ts';
import type { Cluster } from './cluster.ts';
import { wallClock, type Instance } from './instance.ts';

const period = 1000;
const switchoverDeadline = 30_000;

export function runOperator(cluster: Cluster): void {
  const { time, etcd, instances, judge, random, trace, bug, moving, gone } = cluster;
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
    const isMoving = moving.get(instance.name) === instance.volume.incarnation;
    trace('operator', `${isMoving ? 'makes another' : 'deletes the'} volume of ${instance.name}`);
    judge.destroys(instance.name, instance.volume.incarnation);
    stopped.delete(instance);
    instance.kill(Infinity);
    instance.loseVolume();
    if (isMoving) comeBack(instance);
    else instance.lost = true;
  }

  /** On its new volume it is wanted again. */
  function comeBack(instance: Instance): void {
    moving.delete(instance.name);
    const { definition } = etcd.view();
    if (definition)
      etcd.put(keys.definition, {
        ...definition,
        generation: definition.generation + 1,
        instances: [...definition.instances, instance.name].sort(),
      });
    instance.start();
  }

  /** A volume that is gone with its node. */
  function beginAnew(instance: Instance): void {
    trace('operator', `gives ${instance.name} a new volume in place of the one that is gone`);
    judge.abandons(instance.name);
    gone.delete(instance.name);
    instance.loseVolume();
    instance.start();
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
    const primary = { epoch: view.epoch, leader: view.leader?.value, sync: view.sync?.value, members: view.members };
    for (const instance of instances.values())
      if (gone.has(instance.name) && (mayBeginAnew(primary, instance.name) || bug?.model === 'begins-anew-unasked'))
        beginAnew(instance);
    for (const instance of stopped)
      if (wanted.includes(instance.name)) {
        stopped.delete(instance);
        instance.start();
      }
    const surplus = [...instances.values()].find(({ name, lost }) => !lost && !wanted.includes(name));
    if (!surplus) return;
    const dependents = { definition, leader: view.leader?.value, sync: view.sync?.value };
    const isMoving = moving.get(surplus.name) === surplus.volume.incarnation;
    // Nobody else could fill another volume.
    const mayGo = mayLeave(dependents, surplus.name) && (!isMoving || hasRunningPrimary(view));
    if (mayGo || bug?.model === 'removed-while-counted') remove(surplus);
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

const hasRunningPrimary = ({ leader, members }: ClusterView): boolean =>
  leader !== undefined && members.get(leader.value.instance)?.state === 'running';
