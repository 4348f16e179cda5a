/**
 * Volumes in whose place others shall be: of another storage class, or gone with their node. The instance keeps its name and gets
 * a new, empty volume, which its agent fills from another instance; the former one is kept until it follows again.
 */
import type { InstanceName } from '../../api/cluster-state.ts';
import { effectiveDurability } from '../../api/durability.ts';
import { replacementDelayMs } from '../../api/replication.ts';
import { mayBeginAnew, mayLeave } from '../../ha/may-leave.ts';
import { volumeName } from '../../resources/names.ts';
import { wishFor } from '../../resources/persistent-volume-claim.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { publishedTags, switchoverCandidate } from '../switchover-candidate.ts';
import { currentRuntime, type Facts, type ObservedPod, type ObservedVolume } from './facts.ts';
import { standingForce } from './forced-failover.ts';
import {
  canSpare,
  eligibleForSwitchover,
  isOnFormerVolume,
  isOutdated,
  podOf,
  runningPrimary,
  wantedInstances,
} from './instances.ts';
import { hasSettled } from './pending-restart.ts';

export type VolumeReplacement =
  | { readonly verdict: 'nothing' }
  | { readonly verdict: 'wait'; readonly message: string; readonly milliseconds?: number }
  /** Only a person can go on. */
  | { readonly verdict: 'stuck'; readonly reason: 'VolumeNotReplaceable' | 'VolumeLost'; readonly message: string }
  /** The agents are told to do without it. */
  | { readonly verdict: 'leave'; readonly instance: InstanceName }
  | { readonly verdict: 'hand-over'; readonly from: InstanceName }
  | { readonly verdict: 'remove-pod'; readonly pod: ObservedPod }
  | { readonly verdict: 'make'; readonly instance: InstanceName; readonly because: 'another-class' | 'lost' }
  /** Nothing was ever written to it, and the one in whose place it is is as asked for after all. */
  | { readonly verdict: 'discard'; readonly volume: ObservedVolume };

const nothing: VolumeReplacement = { verdict: 'nothing' };
const wait = (message: string): VolumeReplacement => ({ verdict: 'wait', message });

/** Of the volumes in use. Where the spec names no class, any will do. */
export function isMisplaced({ cluster }: Facts, { holds, storageClassName }: ObservedVolume): boolean {
  const wanted = wishFor(cluster, holds).storageClassName;
  return wanted !== undefined && storageClassName !== undefined && storageClassName !== wanted;
}

/** Instances with a volume of another class than the spec asks for, data or log; and those that run on a former one. */
export function misplacedInstances(facts: Facts): readonly InstanceName[] {
  const misplaced = [...facts.volumes, ...facts.walVolumes].filter(
    (volume) => volume.ours && !volume.deleting && isMisplaced(facts, volume),
  );
  const elsewhere = facts.pods.filter((pod) => pod.ours && isOnFormerVolume(facts, pod));
  return wantedInstances(facts).filter((name) =>
    [...misplaced, ...elsewhere].some(({ instance }) => instance === name),
  );
}

/** Instances of the spec that the agents shall do without: nobody depends on them until their new volumes are there. */
export function instancesLeftOut(facts: Facts, runtime: ClusterRuntime): readonly InstanceName[] {
  const next = nextReplacement(facts);
  const leaving = next.verdict === 'leave' ? [next.instance] : [];
  return [...leaving, ...misplacedInstances(facts).filter((instance) => isLeftOut(runtime, instance))];
}

/** One that leads, or whose log is the recorded one, is taken in again: it has been elected meanwhile. */
const isLeftOut = ({ definition, leader, sync }: ClusterRuntime, instance: InstanceName): boolean =>
  definition?.instances.includes(instance) === false &&
  leader?.instance !== instance &&
  sync?.primary.instance !== instance;

export function nextReplacement(facts: Facts): VolumeReplacement {
  const runtime = currentRuntime(facts);
  if (!runtime || facts.cluster.spec.hibernated) return nothing;
  const lost = replaceLost(facts, runtime);
  if (lost.verdict === 'make') return lost;
  const misplaced = replaceMisplaced(facts, runtime);
  return misplaced.verdict === 'nothing' || misplaced.verdict === 'wait' ? firstOf(lost, misplaced) : misplaced;
}

const firstOf = (one: VolumeReplacement, other: VolumeReplacement): VolumeReplacement =>
  one.verdict === 'nothing' ? other : one;

// ---- another class -----------------------------------------------------------------------------------------------------

function replaceMisplaced(facts: Facts, runtime: ClusterRuntime): VolumeReplacement {
  const misplaced = misplacedInstances(facts);
  const unused = misplaced.flatMap((instance) => neverUsed(facts, instance) ?? [])[0];
  if (unused) {
    const pod = podOf(facts, unused.instance);
    if (!pod) return { verdict: 'discard', volume: unused };
    return pod.deleting ? wait(`${pod.instance} is being stopped`) : { verdict: 'remove-pod', pod };
  }
  const leftOut = misplaced.find((instance) => isLeftOut(runtime, instance));
  if (leftOut === undefined) return misplaced.length === 0 ? nothing : nextToLeave(facts, runtime, misplaced);
  // What it holds may be needed yet, and nobody could fill another volume.
  if (runningPrimary(runtime) === undefined) return wait('there is no primary now');
  if (!mayLeave(runtime, leftOut)) return wait(`${leftOut} is leaving the sync set`);
  const pod = podOf(facts, leftOut);
  if (!pod) return { verdict: 'make', instance: leftOut, because: 'another-class' };
  return pod.deleting ? wait(`${leftOut} is being stopped`) : { verdict: 'remove-pod', pod };
}

/** A new volume that has never been found, as that of a class that does not work: it goes with its log first. */
function neverUsed({ volumes, walVolumes, formerVolumes }: Facts, instance: InstanceName): ObservedVolume | undefined {
  const made = [...walVolumes, ...volumes].filter((volume) => volume.instance === instance);
  const hasFormer = formerVolumes.some(
    (one) => one.instance === instance && !one.superseded && !one.deleting && one.persistentVolume !== undefined,
  );
  if (
    !hasFormer ||
    made.some(({ persistentVolume, serial, ours }) => persistentVolume !== undefined || serial === 1 || !ours)
  )
    return undefined;
  return made.find(({ deleting }) => !deleting);
}

/** Replicas first, the primary last and after a switchover, and never while another instance lacks anything. */
function nextToLeave(facts: Facts, runtime: ClusterRuntime, misplaced: readonly InstanceName[]): VolumeReplacement {
  const { spec, metadata } = facts.cluster;
  const remedy = `Set spec.instances to ${spec.instances + 1} for the time being, or storageClassName back to what it was.`;
  const stuck = (why: string): VolumeReplacement => ({
    verdict: 'stuck',
    reason: 'VolumeNotReplaceable',
    message: `The volumes of ${misplaced.join(', ')} are of another storage class than asked for, and ${why}. ${remedy}`,
  });
  if (spec.instances === 1) return stuck(`${metadata.name} has no other instance to copy the data from`);
  const primary = runningPrimary(runtime);
  if (primary === undefined) return wait('there is no primary now');
  if (runtime.switchover) return wait('a switchover is under way');
  if ([...runtime.requests.keys()].some((key) => key.startsWith('requests/')))
    return wait('something else is asked of the agents');
  if (facts.pods.some((pod) => pod.deleting || isOutdated(facts, pod))) return wait('Pods are being replaced');

  const wanted = wantedInstances(facts);
  const isThere = (instance: InstanceName) => hasSettled(facts, runtime, primary, instance);
  const replicas = misplaced.filter((instance) => instance !== primary).toReversed();
  const instance = replicas.find((replica) => !isThere(replica)) ?? replicas[0] ?? primary;
  const behind = wanted.filter((other) => other !== instance && !isThere(other));
  if (behind.length > 0) return wait(`${behind.join(', ')} must follow in the sync set first`);

  const { mode, acknowledgements } = effectiveDurability(spec);
  const othersThatCount = wanted.filter(
    (other) => other !== instance && other !== primary && !publishedTags(runtime, other).noSync,
  );
  const isShort = mode === 'Strict' && othersThatCount.length < acknowledgements;
  if (instance !== primary && isShort)
    return stuck(
      `without ${instance} all writes would wait: ${acknowledgements} replicas must hold each (Strict), ${othersThatCount.length} would be left`,
    );
  if (instance !== primary)
    return canSpare(facts, runtime, instance)
      ? { verdict: 'leave', instance }
      : wait(`writes would have to wait for ${instance}`);
  const others = wanted.filter((other) => other !== primary);
  if (others.every((other) => publishedTags(runtime, other).noFailover))
    return stuck(`no other instance may lead in place of ${primary} (noFailover)`);
  return switchoverCandidate(runtime, eligibleForSwitchover(facts)) === undefined
    ? wait(`no replica could take over from ${primary}`)
    : { verdict: 'hand-over', from: primary };
}

// ---- gone with its node ------------------------------------------------------------------------------------------------

function replaceLost(facts: Facts, runtime: ClusterRuntime): VolumeReplacement {
  const [first] = [...facts.stranded].filter(([instance]) => wantedInstances(facts).includes(instance));
  if (!first) return nothing;
  const [instance, node] = first;
  const claim = claimOf(facts, instance);
  const what = `The volume of ${instance} (claim ${claim}) is on node ${node}, which does not exist any more`;
  const stuck = (why: string): VolumeReplacement => ({
    verdict: 'stuck',
    reason: 'VolumeLost',
    message: `${what}. ${why} Bring the node back, or delete the PersistentVolumeClaim ${claim} to have ${instance} cloned anew.`,
  });
  const delayMs = replacementDelayMs(facts.cluster.spec.replication);
  if (delayMs === undefined) return stuck('spec.replication.replaceLostVolumesAfter is Never.');
  const alone = mayHoldAlone(facts, runtime, instance);
  if (alone !== undefined) return stuck(alone);
  const since = podOf(facts, instance)?.unschedulable?.since ?? facts.now;
  const milliseconds = since + delayMs - facts.now;
  if (milliseconds > 0)
    return {
      verdict: 'wait',
      message: `${what}; it gets a new one at ${new Date(since + delayMs).toISOString().replace(/\.\d+Z/, 'Z')} unless the node comes back`,
      milliseconds,
    };
  return mayBeginAnew(runtime, instance)
    ? { verdict: 'make', instance, because: 'lost' }
    : wait(`${what}; it may hold writes that nobody else has until another instance serves as primary`);
}

/** Acknowledged writes that were accepted as lost, and may be on the volume that is gone. */
function mayHoldAlone(facts: Facts, runtime: ClusterRuntime, instance: InstanceName): string | undefined {
  const force = standingForce(runtime);
  if (force?.forced.missing.includes(instance) === true)
    return `${force.winner} became primary by force, and ${instance} may hold writes that it lacks.`;
  const { acknowledgements } = effectiveDurability(facts.cluster.spec);
  if (acknowledgements > 0 && (runtime.sync?.acknowledgements ?? 0) > 0) return undefined;
  const reign = runtime.history.findLastIndex(({ winner }) => winner !== runtime.leader?.instance);
  const [former, next] = [runtime.history[reign], runtime.history[reign + 1]];
  return former?.winner === instance && next?.reason !== 'Switchover'
    ? `It was primary until ${next?.winner ?? 'another'} took over, and writes waited for no replica, so that it may hold writes that nobody else has.`
    : undefined;
}

const claimOf = ({ volumes }: Facts, instance: InstanceName): string =>
  volumeName(volumes.find((volume) => volume.instance === instance) ?? { instance, holds: 'data', serial: 1 });

// ---- what is left ------------------------------------------------------------------------------------------------------

/** A former volume whose instance follows (or leads) on the new one. */
export function releasedVolume(facts: Facts, runtime: ClusterRuntime): ObservedVolume | undefined {
  const primary = runningPrimary(runtime);
  if (primary === undefined) return undefined;
  return facts.formerVolumes.find(
    ({ instance, ours, deleting, superseded }) =>
      ours &&
      !deleting &&
      !superseded &&
      wantedInstances(facts).includes(instance) &&
      hasSettled(facts, runtime, primary, instance) &&
      podOf(facts, instance)?.claim === claimOf(facts, instance),
  );
}
