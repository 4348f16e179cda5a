/** Reading of facts that several decisions share. */
import type { InstanceName } from '../../api/cluster-state.ts';
import { effectiveDurability } from '../../api/durability.ts';
import { databaseImage } from '../../resources/installation.ts';
import { instanceNames, instanceNumber, volumeName } from '../../resources/names.ts';
import { podInputs, podIntent } from '../../resources/pod.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { publishedTags } from '../switchover-candidate.ts';
import type { Facts, ObservedPod } from './facts.ts';
import { opensInMs } from './maintenance.ts';
import { judgeResize, type Resize } from './pod-resize.ts';

export const wantedInstances = (facts: Facts): readonly InstanceName[] =>
  instanceNames(facts.cluster.metadata.name, facts.cluster.spec.instances);

export const podOf = (facts: Facts, instance: InstanceName): ObservedPod | undefined =>
  facts.pods.find((pod) => pod.instance === instance);

/** Pods beyond the spec, highest number first. */
export function surplusPods(facts: Facts): readonly ObservedPod[] {
  const number = (pod: ObservedPod) => instanceNumber(facts.cluster.metadata.name, pod.instance) ?? 0;
  return facts.pods.filter((pod) => number(pod) > facts.cluster.spec.instances).sort((a, b) => number(b) - number(a));
}

/** Runs and follows, or leads: as far as both Kubernetes and etcd can tell. */
export function isAvailable(facts: Facts, runtime: ClusterRuntime, instance: InstanceName): boolean {
  const pod = podOf(facts, instance);
  const state = runtime.members.get(instance)?.state;
  return pod !== undefined && !pod.deleting && pod.ready && (state === 'streaming' || state === 'running');
}

/** A leader that is open to clients. */
export function runningPrimary(runtime: ClusterRuntime): InstanceName | undefined {
  const leader = runtime.leader?.instance;
  return leader !== undefined && runtime.members.get(leader)?.state === 'running' ? leader : undefined;
}

/** Its Pod shall be replaced: somebody has changed what it is made from, or it does not run and we would make it differently. */
export function isOutdated(facts: Facts, pod: ObservedPod): boolean {
  if (isOnFormerVolume(facts, pod)) return false;
  const resize = resizeOf(facts, pod);
  if (resize.verdict === 'replace') return true;
  if (!isDifferent(facts, pod)) return false;
  const { installation, dataUid, cluster } = facts;
  const volumeSerial = volumeSerialOf(facts, pod.instance);
  if (!pod.running && !pod.ready) return true;
  if (resize.verdict === 'in-place' && !isDifferent(facts, { ...pod, intent: resize.intent })) return false;
  if (cluster.spec.operatorUpgrades === 'ReplacePods' && opensInMs(cluster, facts.now) === 0) return true;
  if (resize.verdict === 'in-place') return false;
  return pod.inputs !== podInputs(cluster, { installation, dataUid, volumeSerial });
}

/** Its Pod is not what we would make today. */
export function isDifferent(facts: Facts, pod: ObservedPod): boolean {
  const image = databaseImage(facts.cluster, facts.installation);
  if (image === undefined) return false;
  const { installation, dataUid } = facts;
  const volumeSerial = volumeSerialOf(facts, pod.instance);
  return pod.intent !== podIntent(facts.cluster, pod.instance, { installation, image, dataUid, volumeSerial });
}

/**
 * It runs on a volume in whose place there is another, as when a node comes back that was thought gone. To move it is more than to
 * replace its Pod: what it holds may count.
 */
export function isOnFormerVolume({ volumes }: Facts, { instance, claim, running }: ObservedPod): boolean {
  const inUse = volumes.find((volume) => volume.instance === instance);
  return running && claim !== undefined && inUse !== undefined && claim !== volumeName(inUse);
}

/** What a change of spec.resources asks for, if nothing else of its Pod has changed. */
export const resizeOf = (facts: Facts, pod: ObservedPod): Resize =>
  judgeResize(facts, pod, volumeSerialOf(facts, pod.instance));

/** Of the volumes that its Pod shall mount. */
export const volumeSerialOf = (facts: Facts, instance: InstanceName): number | undefined =>
  facts.volumes.find((volume) => volume.instance === instance)?.serial;

/** Replicas that may become primary on purpose: ready, staying, on a node that stays. */
export function eligibleForSwitchover(facts: Facts): readonly InstanceName[] {
  return wantedInstances(facts).filter((instance) => {
    const pod = podOf(facts, instance);
    const node = pod?.node === undefined ? undefined : facts.nodes?.get(pod.node);
    return pod !== undefined && pod.ready && !pod.deleting && node?.draining !== true;
  });
}

/** Whether writes would still be acknowledged without this replica. */
export function canSpare(facts: Facts, runtime: ClusterRuntime, instance: InstanceName): boolean {
  const others = (runtime.sync?.members ?? []).filter((voter) => voter.instance !== instance).length;
  // With two instances there is no other replica to wait for.
  const possible = wantedInstances(facts).filter(
    (other) => other !== instance && other !== runtime.leader?.instance && !publishedTags(runtime, other).noSync,
  ).length;
  return others >= Math.min(effectiveDurability(facts.cluster.spec).acknowledgements, possible);
}
