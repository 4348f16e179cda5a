/** spec.hibernated: the Pods go, replicas first, the primary last and cleanly; volumes, Secrets, Services and what etcd knows stay. */
import type { InstanceName } from '../../api/cluster-state.ts';
import { instanceNumber } from '../../resources/names.ts';
import { currentRuntime, type Facts, type ObservedPod } from './facts.ts';

/** The next Pod to go; undefined while one is going, none is left, or nobody knows who leads. */
export function nextToSleep(facts: Facts): ObservedPod | undefined {
  const runtime = currentRuntime(facts);
  const pods = facts.pods.filter(({ ours }) => ours);
  if (!runtime || pods.some(({ deleting }) => deleting)) return undefined;
  const primary = runtime.leader?.instance;
  const number = (instance: InstanceName): number => instanceNumber(facts.cluster.metadata.name, instance) ?? 0;
  const [last] = pods
    .toSorted((a, b) => number(b.instance) - number(a.instance))
    .toSorted((a, b) => Number(a.instance === primary) - Number(b.instance === primary));
  return last;
}

export const isAsleep = ({ cluster, pods }: Facts): boolean =>
  cluster.spec.hibernated && !pods.some(({ ours }) => ours);
