/**
 * A change of spec.resources is made while the databases run, where Kubernetes can (pods/resize, 1.33); where it can't, Pods are
 * replaced. What an instance's settings make of its memory follows when all have it (operator/controllers/…/wanted-definition.ts).
 */
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import { memoryOf } from '../../api/quantity.ts';
import { intentHash } from '../../resources/intent.ts';
import { containerResources, reasonAgainstResize, type ContainerResources } from '../../resources/pod-resources.ts';
import { podInputs, podIntent } from '../../resources/pod.ts';
import { databaseImage } from '../../resources/installation.ts';
import type { Facts, ObservedPod } from './facts.ts';

/** As the autoscaler of the Kubernetes project: a node that has no room now may have some soon, but not for ever. */
export const deferredPatienceMs = 300_000;

export type Resize =
  | { readonly verdict: 'nothing' }
  /** `intent` and `inputs` of its Pod afterwards. */
  | {
      readonly verdict: 'in-place';
      readonly resources: ContainerResources;
      readonly intent: string;
      readonly inputs: string;
    }
  /** The kubelet is at it, or waits for room. */
  | { readonly verdict: 'under-way'; readonly message: string }
  | { readonly verdict: 'replace'; readonly message: string };

/** What the change of resources alone asks for; `serial` of the volumes that the Pod shall mount. */
export function judgeResize(facts: Facts, pod: ObservedPod, volumeSerial: number | undefined): Resize {
  const { cluster, installation, dataUid } = facts;
  const image = databaseImage(cluster, installation);
  if (pod.resources === undefined || image === undefined || !pod.running) return { verdict: 'nothing' };
  if (pod.resources === JSON.stringify(cluster.spec.resources ?? null)) return underWay(facts, pod);
  const [now, then] = [cluster, withResources(cluster, parsed(pod.resources))];
  const [wanted, asked] = [containerResources(now), containerResources(then)];
  const inputsOf = (one: DatabaseCluster) => podInputs(one, { installation, dataUid, volumeSerial });
  const intentOf = (one: DatabaseCluster) =>
    podIntent(one, pod.instance, { installation, image, dataUid, volumeSerial });
  if (pod.inputs === inputsOf(now)) return underWay(facts, pod);
  if (pod.inputs !== inputsOf(then)) return { verdict: 'nothing' };
  const against =
    pod.resizeRefused === intentHash(wanted)
      ? 'the API server refuses to do it'
      : reasonAgainstResize(asked, wanted, {
          usesLess: pod.resizing?.state === 'Deferred' || pod.resizing?.state === 'Infeasible',
        });
  if (against !== undefined) return { verdict: 'replace', message: against };
  // A Pod of an earlier operator stays one.
  const intent = pod.intent === intentOf(then) ? intentOf(now) : (pod.intent ?? '');
  return { verdict: 'in-place', resources: wanted, intent, inputs: inputsOf(now) };
}

function underWay({ now }: Facts, { instance, resizing }: ObservedPod): Resize {
  switch (resizing?.state) {
    case undefined:
      return { verdict: 'nothing' };
    case 'Infeasible':
      return { verdict: 'replace', message: `its node can’t: ${resizing.message}` };
    case 'Deferred':
      return now - resizing.since < deferredPatienceMs
        ? { verdict: 'under-way', message: `the node of ${instance} has no room for it yet: ${resizing.message}` }
        : { verdict: 'replace', message: `its node has had no room for ${deferredPatienceMs / 60_000} minutes` };
    case 'InProgress':
      return {
        verdict: 'under-way',
        message: `the kubelet is at ${instance}${resizing.message === '' ? '' : `: ${resizing.message}`}`,
      };
  }
}

/** Milliseconds until a resize that waits for room counts as one that can't be. */
export const resizeChangesInMs = ({ pods, now }: Facts): number | undefined =>
  pods
    .flatMap(({ resizing }) => (resizing?.state === 'Deferred' ? [resizing.since + deferredPatienceMs - now] : []))
    .find((milliseconds) => milliseconds > 0);

/**
 * The spec as far as instances have what it asks for: settings follow from memory, and a database must not take what its container
 * has not got yet. Pods that shall be replaced begin with what is new.
 */
export function asSized(facts: Facts, isToBeReplaced: (pod: ObservedPod) => boolean): DatabaseCluster {
  const { cluster } = facts;
  const wanted = containerResources(cluster);
  const memory = memoryOf(wanted);
  const has = facts.pods.flatMap((pod) =>
    pod.ours && !pod.deleting && pod.running && (pod.memory ?? Infinity) < (memory ?? 0) && !isToBeReplaced(pod)
      ? [pod.memory ?? 0]
      : [],
  );
  const least = Math.min(...has);
  // The kernel counts in pages.
  if (memory === undefined || least > memory - 2 ** 20) return cluster;
  const kind = wanted.requests?.['memory'] === undefined ? 'limits' : 'requests';
  return withResources(cluster, { ...wanted, [kind]: { ...wanted[kind], memory: String(least) } });
}

function withResources(cluster: DatabaseCluster, resources: ContainerResources | undefined): DatabaseCluster {
  const others = Object.entries(cluster.spec).filter(([field]) => field !== 'resources');
  const spec = Object.fromEntries(resources ? [...others, ['resources', resources]] : others);
  return { ...cluster, spec } as unknown as DatabaseCluster;
}

/** Our own word; what somebody has made of it fits no Pod that we would make. */
function parsed(text: string): ContainerResources | undefined {
  try {
    return (JSON.parse(text) as ContainerResources | null) ?? undefined;
  } catch {
    return undefined;
  }
}
