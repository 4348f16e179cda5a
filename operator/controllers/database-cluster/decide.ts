/**
 * What to do next for one cluster. Level-triggered: from how things are, not from what has happened; when all is as it
 * should be, nothing. Each action is safe to repeat, and at most one of them is risky.
 */
import { credentialsDigest } from '../../api/declared-password.ts';
import { declarationFor } from '../../resources/declaration.ts';
import type { InstanceName } from '../../api/cluster-state.ts';
import { profileOf } from '../../engines/profiles.ts';
import { tlsFingerprint } from '../../api/tls-files.ts';
import { definitionText } from '../../resources/definition.ts';
import { databaseImage } from '../../resources/installation.ts';
import { mayLeave } from '../../ha/may-leave.ts';
import { etcdUserOf, givesOwnLogins, ownEtcdIntent } from '../../resources/etcd-secret.ts';
import { annotations } from '../../resources/labels.ts';
import { dataOwners, ownerReference } from '../../resources/owner.ts';
import { volumeFor, wishFor } from '../../resources/persistent-volume-claim.ts';
import { podFor } from '../../resources/pod.ts';
import { instanceNumber, secretNames, volumeName, type VolumeContent, type VolumeId } from '../../resources/names.ts';
import { authoritiesSecret } from '../../resources/tls-secrets.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { publishedTags, switchoverCandidate } from '../switchover-candidate.ts';
import type { Action, PodRemoval, RoleLabel, Seen, SwitchoverReason, VolumeRemoval } from './actions.ts';
import { describe, desiredObjects, onceObjects, optionalKinds } from './desired-objects.ts';
import { wantedDeclaration } from './declared.ts';
import { currentRuntime, objectId, type Facts, type ObservedPod, type ObservedVolume } from './facts.ts';
import { judgeFailback } from './failback.ts';
import { nextToSleep } from './hibernation.ts';
import {
  canSpare,
  eligibleForSwitchover,
  isAvailable,
  isOutdated,
  podOf,
  resizeOf,
  runningPrimary,
  surplusPods,
  volumeSerialOf,
  wantedInstances,
} from './instances.ts';
import { nextRestart, restartId } from './pending-restart.ts';
import { lostData } from './stall.ts';
import { canGrow, shallGrow } from './volume-growth.ts';
import { instancesLeftOut, nextReplacement, releasedVolume } from './volume-replacement.ts';
import { wantedDefinition } from './wanted-definition.ts';
import { withheldBudget } from './withheld-budget.ts';

export const finalizer = 'mainstay.dev/cleanup';
/** After a refused or expired request, let things settle before the same is asked for again. */
export const switchoverPauseMs = 30_000;
/** A finalizer that can't do its work must not hold a namespace for ever. */
export const cleanupLimitMs = 300_000;
/** Clocks differ: the agents get the first word on whether a request has expired. */
const withdrawalGraceMs = 5_000;

export function decide(facts: Facts): readonly Action[] {
  const { metadata, spec } = facts.cluster;
  if (metadata.deletionTimestamp !== undefined) return decideDeletion(facts);
  if (spec.paused) return [];
  return [
    ...finalizerActions(facts),
    ...objectActions(facts),
    ...certificateActions(facts),
    ...volumeActions(facts),
    ...definitionActions(facts),
    ...podActions(facts),
    ...roleActions(facts),
    ...announcements(facts),
    ...passwordAnnouncements(facts),
    ...withdrawal(facts),
    ...nextRisk(facts),
  ];
}

/** With Delete: Pods first, then what etcd knows, then the finalizer; the garbage collector removes the rest. */
function decideDeletion(facts: Facts): readonly Action[] {
  const { metadata, spec } = facts.cluster;
  if (!(metadata.finalizers ?? []).includes(finalizer)) return [];
  const removal: Action[] = [{ type: 'remove-finalizer' }];
  if (spec.deletionPolicy === 'Retain') {
    const kept = [...volumeOwnership(facts), ...onceOwnership(facts)];
    return kept.length > 0 ? kept : removal;
  }
  if (facts.now - Date.parse(metadata.deletionTimestamp ?? '') > cleanupLimitMs) return removal;
  const pods = facts.pods.filter((pod) => pod.ours);
  if (pods.length > 0) return pods.filter((pod) => !pod.deleting).map((pod) => deletePod(pod, 'cluster-deleted'));
  // A volume retained from an earlier scale-in outlives the cluster, and the history in etcd belongs to its data.
  const volumes = [...facts.volumes, ...facts.formerVolumes];
  if (volumes.some((volume) => volume.ours && !volume.owners.includes(metadata.uid))) return removal;
  const runtime = currentRuntime(facts);
  if (!runtime) return [];
  return runtime.empty ? removal : [{ type: 'delete-state' }];
}

function finalizerActions({ cluster }: Facts): readonly Action[] {
  const present = (cluster.metadata.finalizers ?? []).includes(finalizer);
  const needed = cluster.spec.deletionPolicy === 'Delete';
  if (present === needed) return [];
  return [{ type: needed ? 'add-finalizer' : 'remove-finalizer' }];
}

function objectActions(facts: Facts): readonly Action[] {
  const { files } = facts.certificates;
  const authorities = files && describe(authoritiesSecret(facts.cluster, files.serverAuthorities));
  const desired = desiredObjects(facts.cluster, facts.installation, withheldBudget(facts)?.allowed);
  const applied = [...desired, ...(authorities ? [authorities] : [])]
    .filter(({ kind, name, intent }) => {
      const seen = facts.objects.get(objectId(kind, name));
      return seen === undefined || (seen.ours && !seen.deleting && seen.intent !== intent);
    })
    .map((object): Action => ({ type: 'apply', desired: object }));
  const created = onceObjects(facts.cluster)
    .filter(({ kind, name }) => !facts.objects.has(objectId(kind, name)))
    .map((object): Action => ({ type: 'create-once', object, isLost: object.kind === 'Secret' && hasData(facts) }));
  return [...applied, ...created, ...onceOwnership(facts), ...unwantedObjects(facts), ...etcdLogin(facts)];
}

/** As far as is known: a cluster that etcd says nothing about has data if it ever had a primary. */
const hasData = (facts: Facts): boolean => currentRuntime(facts)?.initialized ?? (facts.cluster.status.epoch ?? 0) > 0;

function onceOwnership(facts: Facts): readonly Action[] {
  const { name: cluster } = facts.cluster.metadata;
  const keys = [secretNames.authorityKey(cluster), secretNames.certificates(cluster), secretNames.authorities(cluster)];
  const kept = keys.map((name) => ({ kind: 'Secret' as const, name, owners: dataOwners(facts.cluster) }));
  return [...onceObjects(facts.cluster), ...kept].flatMap(({ kind, name, owners }): Action[] => {
    const seen = facts.objects.get(objectId(kind, name));
    if (!seen?.ours || seen.deleting || sameOwners(seen.owners, owners)) return [];
    return [{ type: 'set-owners', kind, name, owners }];
  });
}

/** Instances that use others than there are now, as they say themselves. */
function announcements(facts: Facts): readonly Action[] {
  const { files } = facts.certificates;
  if (!files) return [];
  const fingerprint = tlsFingerprint(files);
  return facts.pods.flatMap(({ instance, ours, deleting, announced }): Action[] => {
    const used = currentRuntime(facts)?.members.get(instance)?.certificates;
    if (!ours || deleting || used === undefined || used === fingerprint || announced === fingerprint) return [];
    return [{ type: 'announce-certificates', instance, fingerprint }];
  });
}

/** A Pod that changes has its kubelet renew its Secrets at once. */
function passwordAnnouncements(facts: Facts): readonly Action[] {
  const runtime = currentRuntime(facts);
  const { system } = declarationFor(facts.cluster, facts.passwords.known);
  if (!runtime || !system) return [];
  const digest = credentialsDigest(system);
  return facts.pods.flatMap(({ instance, ours, deleting, announcedPasswords }): Action[] => {
    const member = runtime.members.get(instance);
    if (!ours || deleting || !member || member.credentials === digest || announcedPasswords === digest) return [];
    return [{ type: 'announce-passwords', instance, digest }];
  });
}

function certificateActions({ certificates: { plan } }: Facts): readonly Action[] {
  switch (plan.step) {
    case 'make-authority':
      return [{ type: 'make-authority' }];
    case 'write-files':
      return [{ type: 'write-certificates', plan }];
    case 'nothing':
    case 'wait-for-user':
      return [];
  }
}

function etcdLogin({ cluster, installation, dataUid, objects }: Facts): readonly Action[] {
  if (!givesOwnLogins(installation)) return [];
  const { name, namespace } = cluster.metadata;
  const seen = objects.get(objectId('Secret', secretNames.etcd(name)));
  if (seen && (!seen.ours || seen.deleting)) return [];
  const intent = ownEtcdIntent(installation.etcdCredentials ?? {}, etcdUserOf({ namespace, name, uid: dataUid }));
  return seen?.intent === intent ? [] : [{ type: 'give-etcd-login' }];
}

function unwantedObjects(facts: Facts): readonly Action[] {
  const { name } = facts.cluster.metadata;
  const wanted = desiredObjects(facts.cluster, facts.installation);
  return optionalKinds.flatMap((optional): Action[] => {
    const seen = facts.objects.get(objectId(optional, name));
    if (wanted.some(({ kind }) => kind === optional) || !seen?.ours || seen.deleting) return [];
    return [{ type: 'delete-object', kind: optional, name, seen: asSeen(seen) }];
  });
}

function sameOwners(uids: readonly string[], owners: readonly object[]): boolean {
  const wanted = owners.map((owner) => (owner as { uid?: string }).uid);
  return uids.length === wanted.length && uids.every((uid) => wanted.includes(uid));
}

function volumeActions(facts: Facts): readonly Action[] {
  if (lostData(facts)) return [];
  if (facts.cluster.spec.hibernated) return volumeOwnership(facts);
  const missing = (holds: VolumeContent, present: readonly ObservedVolume[]): readonly Action[] =>
    wantedInstances(facts)
      .filter((instance) => !present.some((volume) => volume.instance === instance))
      .map((instance): Action => {
        const serial = holds === 'wal' ? volumeSerialOf(facts, instance) : undefined;
        if (serial === 1 || !facts.formerVolumes.some((volume) => volume.instance === instance)) {
          const id = { instance, holds, serial: serial ?? 1 };
          const desired = describe(volumeFor(facts.cluster, instance, { dataUid: facts.dataUid, ...id }));
          return { type: 'apply-volume', ...id, desired, what: 'create' };
        }
        return serial === undefined
          ? replaceVolume(facts, { instance, holds, serial: nextSerial(facts, instance) }, 'lost')
          : replaceVolume(facts, { instance, holds, serial }, 'another-class');
      });
  return [
    ...missing('data', facts.volumes),
    ...(profileOf(facts.cluster).logVolume(facts.cluster) ? missing('wal', facts.walVolumes) : []),
    ...volumeOwnership(facts),
  ];
}

/** No volume that there is, or was put aside, has it. */
function nextSerial({ volumes, formerVolumes }: Facts, instance: InstanceName): number {
  const serials = [...volumes, ...formerVolumes]
    .filter((volume) => volume.instance === instance)
    .map(({ serial }) => serial);
  return Math.max(0, ...serials) + 1;
}

function replaceVolume(facts: Facts, { instance, holds, serial }: VolumeId, because: 'another-class' | 'lost'): Action {
  const { cluster, dataUid } = facts;
  const used = holds === 'wal' ? facts.walVolumes : facts.volumes;
  const former = used.find((volume) => volume.instance === instance && volume.serial !== serial);
  // What was on it must find room on the other.
  const existing = former && { size: former.size };
  return {
    type: 'replace-volume',
    instance,
    holds,
    serial,
    desired: describe(volumeFor(cluster, instance, { dataUid, holds, serial, existing })),
    because,
    former: former && volumeName(former),
    storageClass: wishFor(cluster, holds).storageClassName,
  };
}

/** Volumes that are there, brought in line with the spec: size, and whether they go with the cluster. */
function volumeOwnership(facts: Facts): readonly Action[] {
  const wanted = wantedInstances(facts);
  return [...facts.volumes, ...facts.walVolumes, ...facts.formerVolumes].flatMap((volume): Action[] => {
    if (!volume.ours || volume.deleting) return [];
    if (volume.dataUid !== undefined && volume.dataUid !== facts.dataUid) return [];
    const { instance, holds, serial, size, storageClassName, owners } = volume;
    const isWanted = wanted.includes(volume.instance) && !facts.formerVolumes.includes(volume);
    // A volume that nobody uses, as after scaling in, is touched for one reason only: it must not go after all.
    if (!isWanted && (owners.length === 0 || facts.cluster.spec.deletionPolicy === 'Delete')) return [];
    const desired = describe(
      volumeFor(facts.cluster, instance, {
        dataUid: facts.dataUid,
        holds,
        serial,
        existing: { size, storageClassName },
        mayGrow: canGrow(facts.growable, volume),
      }),
    );
    if (desired.intent === volume.intent) return [];
    return [{ type: 'apply-volume', instance, holds, serial, desired, what: volumeChange(facts, volume, isWanted) }];
  });
}

function volumeChange(facts: Facts, volume: ObservedVolume, isWanted: boolean) {
  if (!isWanted) return 'retain';
  if (shallGrow(facts.cluster, volume) && canGrow(facts.growable, volume)) return 'resize';
  return 'update';
}

function definitionActions(facts: Facts): readonly Action[] {
  const runtime = currentRuntime(facts);
  if (!runtime) return [];
  const text = definitionText(wantedDefinition(facts, runtime));
  const declaration = wantedDeclaration(facts);
  return [
    // First, so that whoever makes the first data knows of it.
    ...(runtime.declaration?.value === declaration
      ? []
      : [
          {
            type: 'publish-declaration',
            text: declaration,
            modRevision: runtime.declaration?.modRevision,
          } as const,
        ]),
    ...(runtime.definition?.text === text
      ? []
      : [{ type: 'publish-definition', text, modRevision: runtime.definition?.modRevision } as const]),
    ...(facts.passwords.staleApplicationSecret ? [{ type: 'complete-application-secret' } as const] : []),
  ];
}

function podActions(facts: Facts): readonly Action[] {
  const { cluster, installation, dataUid } = facts;
  const image = databaseImage(cluster, installation);
  // The kubelet would wait longer and longer for what a Pod mounts.
  if (image === undefined || !facts.certificates.files || cluster.spec.hibernated) return [];
  const held = heldBack(facts);
  const created = wantedInstances(facts)
    .filter((instance) => podOf(facts, instance) === undefined && hasVolumes(facts, instance))
    .filter((instance) => !held.includes(instance))
    .map((instance): Action => {
      const volumeSerial = volumeSerialOf(facts, instance);
      const object = podFor(cluster, instance, { installation, image, dataUid, volumeSerial });
      return { type: 'create-pod', instance, object };
    });
  const adopted = facts.pods
    .filter((pod) => pod.ours && !pod.deleting && pod.owners.length === 0)
    .map((pod): Action => ({ type: 'set-owners', kind: 'Pod', name: pod.instance, owners: [ownerReference(cluster)] }));
  return [...created, ...adopted];
}

/** No Pod is made on volumes in whose place others shall be, or which shall go. */
function heldBack(facts: Facts): readonly InstanceName[] {
  const runtime = currentRuntime(facts);
  const next = nextReplacement(facts);
  const discarded = next.verdict === 'discard' ? [next.volume.instance] : [];
  return runtime ? [...discarded, ...instancesLeftOut(facts, runtime)] : [];
}

const hasVolumes = (facts: Facts, instance: InstanceName): boolean =>
  isThere(facts, facts.volumes, instance) &&
  // Data whose log is on a volume of its own are nothing without it.
  isThere(facts, facts.walVolumes, instance) === (profileOf(facts.cluster).logVolume(facts.cluster) !== undefined);

const isThere = (facts: Facts, volumes: readonly ObservedVolume[], instance: InstanceName): boolean =>
  volumes.some(
    (volume) =>
      volume.instance === instance &&
      volume.ours &&
      !volume.deleting &&
      (volume.dataUid === undefined || volume.dataUid === facts.dataUid),
  );

function replicaLabel({ cluster }: Facts, instance: InstanceName): RoleLabel {
  const number = instanceNumber(cluster.metadata.name, instance);
  const own = cluster.spec.failover.instances.find(({ ordinal }) => ordinal === number);
  return own?.replayDelay === undefined ? 'replica' : 'delayed-replica';
}

/** Labels follow etcd; while nobody leads they stay, because nothing better is known. */
function roleActions(facts: Facts): readonly Action[] {
  const leader = currentRuntime(facts)?.leader?.instance;
  if (leader === undefined) return [];
  return facts.pods
    .filter((pod) => pod.ours && !pod.deleting)
    .map((pod) => ({ pod, role: pod.instance === leader ? 'primary' : replicaLabel(facts, pod.instance) }) as const)
    .filter(({ pod, role }) => pod.roleLabel !== role)
    .map(({ pod, role }): Action => ({ type: 'label-role', instance: pod.instance, role }));
}

function withdrawal(facts: Facts): readonly Action[] {
  const runtime = currentRuntime(facts);
  const isOver = ({ deadline }: { readonly deadline: string }) => facts.now >= Date.parse(deadline) + withdrawalGraceMs;
  const request = runtime?.switchover;
  return [
    ...(request && isOver(request)
      ? [{ type: 'withdraw-switchover', from: request.from, modRevision: request.modRevision } as const]
      : []),
    ...[...(runtime?.restarts ?? [])]
      .filter(([, restart]) => isOver(restart))
      .map(([instance, { modRevision }]): Action => ({ type: 'withdraw-restart', instance, modRevision })),
  ];
}

/** At most one action that takes something away, or the switchover that must come before it. */
function nextRisk(facts: Facts): readonly Action[] {
  if (facts.cluster.spec.hibernated)
    return [removeDeadPod(facts) ?? hibernate(facts)].filter((step) => step !== undefined);
  const step = removeDeadPod(facts) ?? scaleIn(facts) ?? replaceOutdated(facts) ?? resizeInPlace(facts);
  if (step) return [step];
  const volumes = replaceVolumes(facts);
  if (volumes.length > 0) return volumes;
  return [restartPending(facts) ?? failBack(facts)].filter((one) => one !== undefined);
}

/** One at a time and the primary last as well: what goes wrong with it goes wrong once. */
function resizeInPlace(facts: Facts): Action | undefined {
  const runtime = currentRuntime(facts);
  const judged = wantedInstances(facts)
    .flatMap((instance) => podOf(facts, instance) ?? [])
    .filter((pod) => pod.ours && !pod.deleting)
    .map((pod) => ({ pod, resize: resizeOf(facts, pod) }));
  if (!runtime || judged.some(({ resize }) => resize.verdict === 'under-way')) return undefined;
  const next = judged
    .toReversed()
    .toSorted(
      (a, b) =>
        Number(a.pod.instance === runtime.leader?.instance) - Number(b.pod.instance === runtime.leader?.instance),
    )
    .find(({ resize }) => resize.verdict === 'in-place');
  if (next?.resize.verdict !== 'in-place') return undefined;
  const { pod, resize } = next;
  const others = wantedInstances(facts).filter((instance) => instance !== pod.instance);
  if (!others.every((instance) => isAvailable(facts, runtime, instance))) return undefined;
  return {
    type: 'resize-pod',
    instance: pod.instance,
    uid: pod.uid,
    resources: resize.resources,
    annotations: {
      [annotations.intent]: resize.intent,
      [annotations.inputs]: resize.inputs,
      [annotations.resources]: JSON.stringify(facts.cluster.spec.resources ?? null),
    },
  };
}

/** A new volume in place of another; then, when its instance follows, what becomes of the other. */
function replaceVolumes(facts: Facts): readonly Action[] {
  const runtime = currentRuntime(facts);
  const released = runtime && releasedVolume(facts, runtime);
  if (released) return [letGo(facts, released)];
  const next = nextReplacement(facts);
  switch (next.verdict) {
    case 'remove-pod':
      return [deletePod(next.pod, 'volume-replacement')];
    case 'make': {
      const { instance, because } = next;
      const serial = nextSerial(facts, instance);
      const holds = profileOf(facts.cluster).logVolume(facts.cluster)
        ? (['data', 'wal'] as const)
        : (['data'] as const);
      return holds.map((each) => replaceVolume(facts, { instance, holds: each, serial }, because));
    }
    case 'discard':
      return [deleteVolume(next.volume, 'never-used')];
    case 'hand-over':
      return [runtime && switchover(facts, runtime, next.from, 'VolumeReplacement')].filter((one) => one !== undefined);
    case 'nothing':
    case 'wait':
    case 'stuck':
    case 'leave':
      return [];
  }
}

/** Its owner tells whether it was made to go with what uses it. */
function letGo(facts: Facts, volume: ObservedVolume): Action {
  const { metadata, spec } = facts.cluster;
  if (spec.deletionPolicy === 'Delete' && !spec.deletionProtection && volume.owners.includes(metadata.uid))
    return deleteVolume(volume, 'replaced');
  const { instance, holds, serial } = volume;
  const supersededBy = volumeName({ instance, holds, serial: volumeSerialOf(facts, instance) ?? 1 });
  return { type: 'keep-volume', instance, holds, serial, seen: asSeen(volume), supersededBy };
}

function hibernate(facts: Facts): Action | undefined {
  const pod = nextToSleep(facts);
  return pod && deletePod(pod, 'hibernated');
}

function removeDeadPod(facts: Facts): Action | undefined {
  const lost = facts.pods.find((pod) => pod.ours && pod.deleting && isNodeProvenOff(facts, pod));
  if (lost) return deletePod(lost, 'node-lost');
  const ended = facts.pods.find(
    (pod) => pod.ours && !pod.deleting && (pod.phase === 'Failed' || pod.phase === 'Succeeded'),
  );
  return ended && deletePod(ended, 'ended');
}

/** NotReady alone proves nothing: the database may be alive behind a broken network. */
function isNodeProvenOff(facts: Facts, pod: ObservedPod): boolean {
  if (facts.nodes === undefined || pod.node === undefined) return false;
  const node = facts.nodes.get(pod.node);
  return node === undefined || node.outOfService;
}

function scaleIn(facts: Facts): Action | undefined {
  const runtime = currentRuntime(facts);
  if (!runtime) return undefined;
  const leaving = surplusPods(facts).find((pod) => pod.ours && !pod.deleting && mayLeave(runtime, pod.instance));
  if (leaving) return deletePod(leaving, 'surplus');
  return removeSurplusVolume(facts, runtime) ?? handOverSurplusLeader(facts, runtime);
}

function removeSurplusVolume(facts: Facts, runtime: ClusterRuntime): Action | undefined {
  const { metadata, spec } = facts.cluster;
  if (spec.deletionPolicy !== 'Delete') return undefined;
  const volume = [...facts.volumes, ...facts.walVolumes, ...facts.formerVolumes].find(
    (candidate) =>
      candidate.ours &&
      !candidate.deleting &&
      (instanceNumber(metadata.name, candidate.instance) ?? 0) > spec.instances &&
      // Only volumes that were under this policy while in use: one retained earlier stays.
      candidate.owners.includes(metadata.uid) &&
      podOf(facts, candidate.instance) === undefined &&
      mayLeave(runtime, candidate.instance),
  );
  return volume && deleteVolume(volume, 'surplus');
}

function handOverSurplusLeader(facts: Facts, runtime: ClusterRuntime): Action | undefined {
  const leader = runningPrimary(runtime);
  if (
    leader === undefined ||
    (instanceNumber(facts.cluster.metadata.name, leader) ?? 0) <= facts.cluster.spec.instances
  )
    return undefined;
  return switchover(facts, runtime, leader, 'ScaleIn');
}

/** One at a time, replicas first, the primary last and after a switchover, and never while another instance is missing. */
function replaceOutdated(facts: Facts): Action | undefined {
  const runtime = currentRuntime(facts);
  // Without certificates no Pod could be made in its place.
  if (!runtime || !facts.certificates.files) return undefined;
  const outdated = wantedInstances(facts)
    .flatMap((instance) => podOf(facts, instance) ?? [])
    .filter((pod) => pod.ours && !pod.deleting && isOutdated(facts, pod))
    .reverse();
  if (outdated.length === 0) return undefined;

  // A database that does not run can't be missed, whatever the others do: the way out of a bad image or selector.
  const idle = outdated.find((pod) => !pod.running && !pod.ready && pod.instance !== runtime.leader?.instance);
  if (idle) return deletePod(idle, 'outdated');

  if (facts.cluster.spec.instances === 1) return outdated[0] && deletePod(outdated[0], 'outdated');
  const primary = runningPrimary(runtime);
  if (primary === undefined || runtime.switchover || runtime.restarts.size > 0) return undefined;
  if (facts.pods.some((pod) => pod.deleting)) return undefined;
  const missing = wantedInstances(facts).filter((instance) => !isAvailable(facts, runtime, instance));
  const replica = outdated.find(
    (pod) =>
      pod.instance !== primary &&
      missing.every((instance) => instance === pod.instance) &&
      canSpare(facts, runtime, pod.instance),
  );
  if (replica) return deletePod(replica, 'outdated');
  const last = outdated.find((pod) => pod.instance === primary);
  if (missing.length > 0 || outdated.length > 1 || !last) return undefined;
  // Where nobody else may lead, the way is that of a single instance: waiting would be for ever.
  const others = wantedInstances(facts).filter((instance) => instance !== primary);
  if (others.every((instance) => publishedTags(runtime, instance).noFailover)) return deletePod(last, 'outdated');
  return switchover(facts, runtime, primary, 'PodReplacement');
}

/** What it asks for is done with care by the agents, so it comes after all that takes something away. */
function restartPending(facts: Facts): Action | undefined {
  const runtime = currentRuntime(facts);
  const next = nextRestart(facts);
  switch (next.verdict) {
    case 'nothing':
    case 'wait':
      return undefined;
    case 'restart': {
      const { instance } = next;
      const names = runtime?.members.get(instance)?.pendingRestart ?? [];
      return { type: 'request-restart', instance, id: restartId(instance, facts.now), reason: names.join(', ') };
    }
    case 'switchover':
      return runtime && switchover(facts, runtime, next.from, 'PendingRestart');
  }
}

function failBack(facts: Facts): Action | undefined {
  const judged = judgeFailback(facts);
  if (judged.verdict !== 'now') return undefined;
  return { type: 'request-switchover', from: judged.from, to: judged.to, reason: 'Failback' };
}

function switchover(
  facts: Facts,
  runtime: ClusterRuntime,
  from: InstanceName,
  reason: SwitchoverReason,
): Action | undefined {
  if (runtime.switchover || facts.sinceSwitchoverRequestMs < switchoverPauseMs) return undefined;
  const to = switchoverCandidate(runtime, eligibleForSwitchover(facts));
  return to === undefined ? undefined : { type: 'request-switchover', from, to, reason };
}

const deletePod = (pod: ObservedPod, why: PodRemoval): Action => ({
  type: 'delete-pod',
  instance: pod.instance,
  seen: asSeen(pod),
  why,
  node: pod.node,
});

const deleteVolume = (volume: ObservedVolume, why: VolumeRemoval): Action => ({
  type: 'delete-volume',
  instance: volume.instance,
  holds: volume.holds,
  serial: volume.serial,
  seen: asSeen(volume),
  why,
});

const asSeen = ({ uid, resourceVersion }: Seen): Seen => ({ uid, resourceVersion });
