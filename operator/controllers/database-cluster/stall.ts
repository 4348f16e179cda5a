import { profileOf } from '../../engines/profiles.ts';
import type { ConditionReason } from '../../api/conditions.ts';
import { dataVersion } from '../../api/database-cluster.ts';
import { databaseImage } from '../../resources/installation.ts';
import { secretNames, volumeName } from '../../resources/names.ts';
import { wishFor } from '../../resources/persistent-volume-claim.ts';
import { desiredObjects, onceObjects } from './desired-objects.ts';
import { currentRuntime, objectId, type Facts } from './facts.ts';
import { podOf, wantedInstances } from './instances.ts';
import { judgeSettings } from './settings.ts';
import { canGrow, shallGrow } from './volume-growth.ts';
import { nextReplacement } from './volume-replacement.ts';

export interface Stall {
  readonly reason: Exclude<ConditionReason<'Stalled'>, 'Progressing'>;
  readonly message: string;
}

/** Shorter waits happen in every roll-out, and a person who is called for them learns to look away. */
const patienceMs = 60_000;

/** What only a person can put right, with what to do about it. Undefined if nothing stands in the way. */
export function stallOf(facts: Facts): Stall | undefined {
  return (
    unknownImage(facts) ??
    lostData(facts) ??
    takenName(facts) ??
    noCertificates(facts) ??
    foreignVolume(facts) ??
    unusedWalVolume(facts) ??
    fixedVolume(facts) ??
    stuckReplacement(facts) ??
    stuckPod(facts) ??
    failedBootstrap(facts) ??
    refusedSettings(facts)
  );
}

/** Milliseconds until a Pod that waits now counts as stuck. */
export function stallMayBeginInMs(facts: Facts): number | undefined {
  const waits = facts.pods.flatMap((pod) => {
    if (pod.unschedulable) return [pod.unschedulable.since + patienceMs - facts.now];
    return pod.waiting && pullFailures.has(pod.waiting.reason) ? [pod.createdAt + patienceMs - facts.now] : [];
  });
  const coming = waits.filter((milliseconds) => milliseconds > 0);
  return coming.length === 0 ? undefined : Math.min(...coming);
}

function unknownImage({ cluster, installation }: Facts): Stall | undefined {
  if (databaseImage(cluster, installation) !== undefined) return undefined;
  return {
    reason: 'ImageUnavailable',
    message: `The operator knows no image for ${profileOf(cluster).product} ${dataVersion(cluster)}. Set spec.image, or configure one in the chart.`,
  };
}

function refusedSettings(facts: Facts): Stall | undefined {
  const runtime = currentRuntime(facts);
  const { problems } = judgeSettings(facts.cluster, runtime);
  const { product, fields } = profileOf(facts.cluster);
  const [instance, why] =
    [...(runtime?.members ?? [])].flatMap(([name, { settingsRefused }]) =>
      settingsRefused === undefined ? [] : [[name, settingsRefused] as const],
    )[0] ?? [];
  if (problems.length === 0 && why === undefined) return undefined;
  const what =
    problems.length > 0
      ? problems.join('; ')
      : `${product} on ${instance ?? ''} refuses ${fields.settings}: ${why ?? ''}`;
  return { reason: 'SettingsRefused', message: `${what}. Until that is corrected the former settings stay in force.` };
}

/** New volumes would make an empty cluster under the name of a full one. */
export function lostData(facts: Facts): Stall | undefined {
  const wanted = wantedInstances(facts);
  if (currentRuntime(facts)?.initialized !== true) return undefined;
  if (facts.volumes.some((volume) => wanted.includes(volume.instance))) return undefined;
  const { name, namespace } = facts.cluster.metadata;
  const others = facts.volumes.map((volume) => volume.instance).sort();
  return {
    reason: 'DataLost',
    message:
      `etcd says that ${name} has data, but none of the volumes ${wanted.join(', ')} is left in ${namespace}` +
      `${others.length > 0 ? ` (only ${others.join(', ')})` : ''}. ` +
      'Bring the volumes back, or delete this cluster and make one of another name.',
  };
}

function takenName(facts: Facts): Stall | undefined {
  const { name: cluster } = facts.cluster.metadata;
  const certificates = [secretNames.authorityKey, secretNames.authorities, secretNames.certificates].map((nameOf) => ({
    kind: 'Secret',
    name: nameOf(cluster),
  }));
  const wanted = [...desiredObjects(facts.cluster, facts.installation), ...onceObjects(facts.cluster), ...certificates];
  const taken = wanted.find(({ kind, name }) => facts.objects.get(objectId(kind, name))?.ours === false);
  if (taken) return conflict(taken.kind, taken.name);
  const pod = facts.pods.find((candidate) => !candidate.ours);
  if (pod) return conflict('Pod', pod.instance);
  const volume = [...facts.volumes, ...facts.walVolumes].find((candidate) => !candidate.ours);
  return volume && conflict('PersistentVolumeClaim', volumeName(volume));

  function conflict(kind: string, name: string): Stall {
    return {
      reason: 'NameConflict',
      message: `${kind} ${name} exists and is not part of this cluster. Remove or rename it, or give the cluster another name.`,
    };
  }
}

/** Pods mount them, so that none can be made without. */
function noCertificates({ certificates: { problem, files } }: Facts): Stall | undefined {
  return problem === undefined || files ? undefined : { reason: 'SecretUnusable', message: problem };
}

function unusedWalVolume({ cluster, walVolumes }: Facts): Stall | undefined {
  if (profileOf(cluster).logVolume(cluster) || walVolumes.length === 0) return undefined;
  const names = walVolumes.map(volumeName).sort();
  return {
    reason: 'VolumeConflict',
    message:
      `The write-ahead log of this cluster's data is on volumes of its own (${names.join(', ')}), but spec.walStorage is not set. ` +
      'Set it as it was; until then no Pod is made on those data.',
  };
}

function foreignVolume(facts: Facts): Stall | undefined {
  const wanted = wantedInstances(facts);
  const foreign = facts.volumes.find(
    (volume) => wanted.includes(volume.instance) && volume.dataUid !== undefined && volume.dataUid !== facts.dataUid,
  );
  if (foreign)
    return {
      reason: 'VolumeConflict',
      message:
        `Volume ${foreign.instance} holds data of another cluster (${foreign.dataUid ?? ''}, not ${facts.dataUid}). ` +
        `Delete the PersistentVolumeClaim ${foreign.instance} if nobody needs it; the instance is then cloned anew.`,
    };
  return undefined;
}

function stuckReplacement(facts: Facts): Stall | undefined {
  const next = nextReplacement(facts);
  return next.verdict === 'stuck' ? { reason: next.reason, message: next.message } : undefined;
}

function fixedVolume(facts: Facts): Stall | undefined {
  const { cluster, volumes, walVolumes, growable } = facts;
  const wanted = wantedInstances(facts);
  const fixed = [...volumes, ...walVolumes].find(
    (volume) => wanted.includes(volume.instance) && shallGrow(cluster, volume) && !canGrow(growable, volume),
  );
  return (
    fixed && {
      reason: 'VolumeNotExpandable',
      message:
        `Volume ${volumeName(fixed)} has ${fixed.size} and can’t grow to ${wishFor(cluster, fixed.holds).size}: ` +
        `storage class ${fixed.storageClassName ?? ''} does not allow it. Set allowVolumeExpansion: true there if its driver can, or take the size back to ${fixed.size}.`,
    }
  );
}

/** They alternate with every attempt, so that only their meaning may reach the status. */
export const pullFailures: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
]);

function stuckPod(facts: Facts): Stall | undefined {
  const wanted = wantedInstances(facts);
  for (const instance of wanted) {
    const pod = podOf(facts, instance);
    if (!pod || pod.deleting) continue;
    if (pod.waiting && pullFailures.has(pod.waiting.reason) && facts.now - pod.createdAt >= patienceMs)
      return {
        reason: 'ImageUnavailable',
        message: `${pod.instance}: image ${pod.waiting.image} can’t be pulled. Correct spec.image, or make the image available to the nodes.`,
      };
    if (facts.stranded.has(instance)) continue; // its volume is replaced
    if (pod.unschedulable && facts.now - pod.unschedulable.since >= patienceMs)
      return {
        reason: 'PodsUnschedulable',
        message: `No node takes ${pod.instance}: ${pod.unschedulable.message} Add or uncordon a node, or relax spec.affinity or spec.resources.`,
      };
  }
  return undefined;
}

/** It is tried again and again; what it fails at is the user's own SQL, or a wish that the image can't fulfil. */
function failedBootstrap(facts: Facts): Stall | undefined {
  const runtime = currentRuntime(facts);
  if (!runtime || runtime.epoch > 0) return undefined;
  const failing = [...runtime.members.values()].find(({ bootstrapFailure }) => bootstrapFailure !== undefined);
  if (!failing) return undefined;
  return {
    reason: 'BootstrapFailed',
    message: `${failing.instance} can’t make the first data: ${failing.bootstrapFailure ?? ''}`,
  };
}
