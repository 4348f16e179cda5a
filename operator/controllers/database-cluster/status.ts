/** What people see of a cluster: computed from the facts, never accumulated; only transition times are carried over. */
import type { InstanceName, Member } from '../../api/cluster-state.ts';
import type { Condition, InstanceStatus } from '../../api/cluster-status.ts';
import type { ClusterStatus } from '../../api/database-cluster.ts';
import { effectiveDurability } from '../../api/durability.ts';
import type { ConditionReason, ConditionType } from '../../api/conditions.ts';
import { bytesText, quantityValue } from '../../api/quantity.ts';
import { dataVersion } from '../../api/database-cluster.ts';
import { profileOf } from '../../engines/profiles.ts';
import { podSelector } from '../../resources/labels.ts';
import { serviceNames } from '../../resources/names.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { judgeDamage, judgeDisks } from './data-conditions.ts';
import { ifLostText } from '../explanation.ts';
import { lackOf, positionText } from '../../ha/position.ts';
import { certificateState } from './certificates.ts';
import { currentRuntime, type Facts, type ObservedPod } from './facts.ts';
import { judgeDeclared, type DeclaredJudgement } from './declared.ts';
import { lastForce, standingForce } from './forced-failover.ts';
import { isAsleep } from './hibernation.ts';
import {
  isAvailable,
  isDifferent,
  isOutdated,
  podOf,
  resizeOf,
  runningPrimary,
  surplusPods,
  wantedInstances,
} from './instances.ts';
import { nextRestart, pendingRestarts } from './pending-restart.ts';
import { pullFailures, stallOf } from './stall.ts';
import { largest, shallGrow } from './volume-growth.ts';
import { misplacedInstances, nextReplacement } from './volume-replacement.ts';
import { isPublished, zonesOf } from './wanted-definition.ts';
import { withheldBudget } from './withheld-budget.ts';

/** etcd elects a new leader in this time, and nobody should hear of it. */
export const runtimePatienceMs = 10_000;

type Judgement<T extends ConditionType = ConditionType> = {
  readonly [Type in T]: {
    readonly type: Type;
    readonly status: Condition['status'];
    readonly reason: ConditionReason<Type>;
    readonly message: string;
  };
}[T];

export function statusFor(facts: Facts): ClusterStatus {
  const { cluster } = facts;
  const { namespace, name, generation } = cluster.metadata;
  const runtime = knownRuntime(facts);
  const wanted = wantedInstances(facts);
  const available = runtime ? wanted.filter((instance) => isAvailable(facts, runtime, instance)) : [];
  const judged = judge(facts, runtime, available);
  const leader = runtime?.leader?.instance;
  const latest = runtime?.history.at(-1);
  const zones = zonesOf(facts);
  const withheld = withheldBudget(facts);
  const version = runtime?.version ?? (runtime?.initialized ? dataVersion(cluster) : cluster.status.version);
  const instancesStatus = [...wanted, ...surplusPods(facts).map((pod) => pod.instance)]
    .slice(0, 18)
    .map((instance) => instanceStatus(facts, runtime, instance, zones.get(instance)));
  const nodes = new Set(instancesStatus.flatMap(({ node }) => node ?? []));
  return {
    observedGeneration: generation,
    summary: summary(judged),
    dataUid: facts.dataUid,
    instances: facts.pods.filter((pod) => pod.ours).length,
    readyInstances: available.length,
    ready: `${available.length}/${wanted.length}`,
    selector: Object.entries(podSelector(name))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    ...(leader !== undefined && { primary: leader }),
    ...(version !== undefined && { version }),
    ...(runtime && runtime.epoch > 0 && { epoch: runtime.epoch }),
    ...(latest?.timeline !== undefined && { timeline: latest.timeline }),
    durability: effectiveDurability(cluster.spec),
    ...(runtime?.sync && {
      sync: {
        members: runtime.sync.members.map((voter) => voter.instance).sort(),
        acknowledgements: runtime.sync.acknowledgements,
      },
    }),
    ...(latest && {
      lastFailover: { epoch: latest.epoch, winner: latest.winner, reason: latest.reason.slice(0, 256), at: latest.at },
    }),
    ...earlierPods(facts),
    ...(withheld && { disruption: withheld }),
    ...volumeSizes(facts),
    ...effectiveParameters(facts, runtime),
    ...requestsOf(facts, runtime),
    endpoint: `${serviceNames.primary(name)}.${namespace}.svc:${profileOf(cluster).port}`,
    ...(nodes.size > 0 && { nodes: [...nodes].toSorted().join(',').slice(0, 1024) }),
    ...worstLag(instancesStatus),
    instancesStatus,
    conditions: judged.map((judgement) => stamped(judgement, facts)),
  };
}

function earlierPods(facts: Facts): Pick<ClusterStatus, 'earlierPods'> {
  const earlier = facts.pods.filter(
    (pod) =>
      pod.ours && isDifferent(facts, pod) && !isOutdated(facts, pod) && resizeOf(facts, pod).verdict !== 'in-place',
  );
  return earlier.length === 0
    ? {}
    : {
        earlierPods: earlier
          .map(({ instance }) => instance)
          .toSorted()
          .slice(0, 18),
      };
}

function volumeSizes({ volumes, walVolumes }: Facts): Pick<ClusterStatus, 'volumes'> {
  const [data, wal] = [largest(volumes), largest(walVolumes)];
  if (data === undefined) return {};
  return { volumes: { data, ...(wal !== undefined && { wal }) } };
}

/** As the primary has them in force. While there is none, as they were. */
function effectiveParameters(
  { cluster }: Facts,
  runtime: ClusterRuntime | undefined,
): Pick<ClusterStatus, 'parameters'> {
  const leader = runtime?.leader?.instance;
  const parameters = runtime?.members.get(leader ?? '')?.effective ?? cluster.status.parameters;
  return parameters ? { parameters } : {};
}

/** What people asked for. While nobody knows better, as it was. */
function requestsOf(
  { cluster }: Facts,
  runtime: ClusterRuntime | undefined,
): Pick<ClusterStatus, 'lastForcedFailover' | 'lastRequest'> {
  if (!runtime) {
    const { lastForcedFailover, lastRequest } = cluster.status;
    return { ...(lastForcedFailover && { lastForcedFailover }), ...(lastRequest && { lastRequest }) };
  }
  const { answer } = runtime;
  const force = lastForce(runtime);
  return {
    ...(force && {
      lastForcedFailover: {
        epoch: force.epoch,
        winner: force.winner,
        missing: force.forced.missing.toSorted().slice(0, 18),
        reason: force.forced.reason.slice(0, 256),
        at: force.at,
      },
    }),
    ...(answer && {
      lastRequest: {
        id: answer.id.slice(0, 128),
        outcome: answer.outcome === 'done' ? 'Done' : 'Refused',
        reason: answer.reason.slice(0, 1024),
        instance: answer.instance,
        at: answer.at,
      },
    }),
  };
}

/** What etcd said last, while its silence is short. */
export function knownRuntime({ runtime }: Facts): ClusterRuntime | undefined {
  if (runtime.status === 'current') return runtime.state;
  return runtime.forMs < runtimePatienceMs ? runtime.last : undefined;
}

/** A condition keeps its transition time until its status changes. */
function stamped(judgement: Judgement, { cluster, now }: Facts): Condition {
  const before = cluster.status.conditions?.find((condition) => condition.type === judgement.type);
  return {
    type: judgement.type,
    status: judgement.status,
    observedGeneration: cluster.metadata.generation,
    lastTransitionTime:
      before?.status === judgement.status
        ? before.lastTransitionTime
        : new Date(now).toISOString().replace(/\.\d+Z/, 'Z'),
    reason: judgement.reason,
    message: judgement.message.slice(0, 2048),
  };
}

function judge(
  facts: Facts,
  runtime: ClusterRuntime | undefined,
  available: readonly InstanceName[],
): readonly Judgement[] {
  const stalled = judgeStalled(facts);
  const reconciling = judgeReconciling(facts, runtime, available);
  const isAvailableNow = judgeAvailable(facts, runtime);
  const roles = judgeDeclared(facts, runtime, 'role');
  const databases = judgeDeclared(facts, runtime, 'database');
  return [
    judgeReady(facts, { stalled, reconciling, isAvailableNow, declared: [roles, databases] }, available),
    reconciling,
    stalled,
    isAvailableNow,
    judgeDegraded(facts, runtime, available),
    judgeSyncQuorum(facts, runtime),
    ...judgeData(runtime),
    judgePendingRestart(facts, runtime),
    { type: 'CertificatesValid', ...certificateState(facts) },
    roles,
    databases,
    judgeLossAccepted(runtime),
  ];
}

function judgeReady(
  facts: Facts,
  others: {
    readonly stalled: Judgement<'Stalled'>;
    readonly reconciling: Judgement<'Reconciling'>;
    readonly isAvailableNow: Judgement<'Available'>;
    readonly declared: readonly DeclaredJudgement[];
  },
  available: readonly InstanceName[],
): Judgement<'Ready'> {
  const type = 'Ready';
  const { stalled, reconciling, isAvailableNow, declared } = others;
  if (isAsleep(facts))
    return {
      type,
      status: 'True',
      reason: 'Hibernated',
      message: 'No instance runs, as asked for by spec.hibernated.',
    };
  if (stalled.status === 'True') return { type, status: 'False', reason: 'Stalled', message: stalled.message };
  if (isAvailableNow.status === 'Unknown')
    return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: isAvailableNow.message };
  if (isAvailableNow.status === 'False')
    return { type, status: 'False', reason: 'NoPrimary', message: isAvailableNow.message };
  if (reconciling.status === 'True')
    return { type, status: 'False', reason: 'Progressing', message: reconciling.message };
  const missing = wantedInstances(facts).filter((instance) => !available.includes(instance));
  if (missing.length > 0)
    return { type, status: 'False', reason: 'Progressing', message: `Waiting for ${missing.join(', ')}.` };
  const undone = declared.find(({ reason }) => ['Applying', 'Failed', 'SecretUnusable'].includes(reason));
  if (undone)
    return { type, status: 'False', reason: 'Progressing', message: `${undone.type} is False: ${undone.message}` };
  return { type, status: 'True', reason: 'Converged', message: `All ${available.length} instances are ready.` };
}

function judgeReconciling(
  facts: Facts,
  runtime: ClusterRuntime | undefined,
  available: readonly InstanceName[],
): Judgement<'Reconciling'> {
  const type = 'Reconciling';
  const { cluster } = facts;
  const working = (reason: ConditionReason<'Reconciling'>, message: string) =>
    ({ type, status: 'True', reason, message }) as const;
  if (cluster.metadata.deletionTimestamp !== undefined) return working('Deleting', 'The cluster is being deleted.');
  if (cluster.spec.paused)
    return { type, status: 'False', reason: 'Paused', message: 'spec.paused is true: the operator changes nothing.' };
  if (isAsleep(facts)) return { type, status: 'False', reason: 'Done', message: 'Nothing to do.' };
  if (cluster.spec.hibernated) {
    const left = facts.pods.map(({ instance }) => instance).toSorted();
    return working('Hibernating', `Still there: ${left.join(', ')}.`);
  }

  const wanted = wantedInstances(facts);
  if (runtime?.epoch === 0) return working('Initializing', 'The first primary is being made.');
  const surplus = surplusPods(facts).map((pod) => pod.instance);
  if (surplus.length > 0) return working('RemovingInstances', `${surplus.join(', ')} are leaving.`);
  // Once a generation has converged, a lost instance is a matter of Degraded, not of a change under way.
  const absent = hasConverged(facts) ? [] : wanted.filter((instance) => podOf(facts, instance) === undefined);
  if (absent.length > 0) return working('CreatingInstances', `${absent.join(', ')} are being created.`);
  const outdated = wanted.filter((instance) => {
    const pod = podOf(facts, instance);
    return pod !== undefined && isOutdated(facts, pod);
  });
  if (outdated.length > 0)
    return working(
      'ReplacingInstances',
      `Pods to be replaced, one at a time: ${outdated.map((instance) => withReason(facts, instance)).join(', ')}.`,
    );
  const resizing = judgeResizing(facts);
  if (resizing !== undefined) return working('ResizingInstances', resizing);
  const replaced = judgeReplacement(facts);
  if (replaced !== undefined) return working('ReplacingVolumes', replaced);
  const restarting = runtime ? pendingRestarts(facts, runtime).map(({ instance }) => instance) : [];
  if (restarting.length > 0)
    return working('RestartingInstances', `Databases to be restarted, one at a time: ${restarting.join(', ')}.`);
  const small = [...facts.volumes, ...facts.walVolumes].filter(
    (volume) =>
      wanted.includes(volume.instance) &&
      (shallGrow(cluster, volume) ||
        (volume.capacity !== undefined && (quantityValue(volume.capacity) ?? 0) < (quantityValue(volume.size) ?? 0))),
  );
  if (small.length > 0)
    return working('ResizingVolumes', `Volumes of ${small.map((volume) => volume.instance).join(', ')} are growing.`);

  const current = currentRuntime(facts);
  const missing = wanted.filter((instance) => !available.includes(instance));
  const unpublished = current !== undefined && !isPublished(facts, current);
  if (unpublished || (missing.length > 0 && !hasConverged(facts)))
    return working('CreatingInstances', `Waiting for ${missing.join(', ') || 'the definition in etcd'}.`);
  return { type, status: 'False', reason: 'Done', message: 'Nothing to do.' };
}

/** Why other resources can't be had without another Pod, if that is what it is about. */
function withReason(facts: Facts, instance: InstanceName): string {
  const pod = podOf(facts, instance);
  const resize = pod && resizeOf(facts, pod);
  return resize?.verdict === 'replace' ? `${instance} (${resize.message})` : instance;
}

function judgeResizing(facts: Facts): string | undefined {
  const judged = wantedInstances(facts).flatMap((instance) => {
    const pod = podOf(facts, instance);
    return pod?.ours === true && !pod.deleting ? [{ instance, resize: resizeOf(facts, pod) }] : [];
  });
  const open = judged.filter(({ resize }) => resize.verdict === 'in-place' || resize.verdict === 'under-way');
  if (open.length === 0) return undefined;
  const now = open.flatMap(({ resize }) => (resize.verdict === 'under-way' ? [resize.message] : []));
  return [
    `Resources to be changed while the databases run, one at a time: ${open.map(({ instance }) => instance).join(', ')}.`,
    ...now.map((message) => `Now: ${message}.`),
  ].join(' ');
}

/** What goes on with volumes that shall be others. */
function judgeReplacement(facts: Facts): string | undefined {
  const next = nextReplacement(facts);
  const misplaced = misplacedInstances(facts);
  const former = facts.formerVolumes.filter(({ superseded, ours }) => !superseded && ours);
  const filling = [...new Set(former.map(({ instance }) => instance))].filter((one) => !misplaced.includes(one));
  const what = [
    misplaced.length > 0
      ? `Volumes to be replaced by ones of the class asked for, one at a time: ${misplaced.join(', ')}.`
      : undefined,
    filling.length > 0 ? `On a new volume, and not yet whole: ${filling.join(', ')}.` : undefined,
    next.verdict === 'wait' ? `Now: ${next.message}.` : undefined,
  ].filter((sentence) => sentence !== undefined);
  return what.length === 0 ? undefined : what.join(' ');
}

function hasConverged({ cluster }: Facts): boolean {
  const before = cluster.status.conditions?.find((condition) => condition.type === 'Reconciling');
  return before?.reason === 'Done' && before.observedGeneration === cluster.metadata.generation;
}

function judgeStalled(facts: Facts): Judgement<'Stalled'> {
  const stall = stallOf(facts);
  if (stall) return { type: 'Stalled', status: 'True', ...stall };
  return { type: 'Stalled', status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' };
}

function judgeAvailable(facts: Facts, runtime: ClusterRuntime | undefined): Judgement<'Available'> {
  const type = 'Available';
  if (isAsleep(facts))
    return {
      type,
      status: 'False',
      reason: 'Hibernated',
      message: 'No instance runs, as asked for by spec.hibernated.',
    };
  if (!runtime) return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd };
  const primary = runningPrimary(runtime);
  // A primary that has lost etcd fences itself, and etcd would be the last to say so.
  const isDoubtful = facts.runtime.status === 'lost' && primary !== undefined && podOf(facts, primary)?.ready !== true;
  if (isDoubtful) return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd };
  if (primary !== undefined)
    return { type, status: 'True', reason: 'PrimaryRunning', message: `${primary} accepts writes.` };
  const leader = runtime.leader?.instance;
  if (leader !== undefined)
    return {
      type,
      status: 'False',
      reason: 'PrimaryStarting',
      message: `${leader} is elected and ${runtime.members.get(leader)?.state ?? 'silent'}; not yet open to clients.`,
    };
  return { type, status: 'False', reason: 'NoPrimary', message: withoutPrimary(facts, runtime) };
}

const silentEtcd = 'etcd does not answer the operator. The agents go on by themselves.';

/** Why, and where those are whose word the election lacks (DESIGN §5, rule 14). */
function withoutPrimary(facts: Facts, { explanation, sync, members }: ClusterRuntime): string {
  const why = explanation?.summary ?? 'No instance leads.';
  const voters = sync ? [sync.primary, ...sync.members].map((voter) => voter.instance) : [];
  const silent = [...new Set(voters)].filter((instance) => !members.has(instance)).sort();
  if (silent.length === 0) return why;
  const nodes = silent.map((instance) => {
    const node = podOf(facts, instance)?.node;
    return node === undefined ? instance : `${instance} (node ${node})`;
  });
  return `${why} Silent: ${nodes.join(', ')}.`;
}

function judgeDegraded(
  facts: Facts,
  runtime: ClusterRuntime | undefined,
  available: readonly InstanceName[],
): Judgement<'Degraded'> {
  const type = 'Degraded';
  if (facts.cluster.spec.hibernated)
    return {
      type,
      status: 'False',
      reason: 'Hibernated',
      message: 'spec.hibernated is true: no instance is asked for.',
    };
  if (!runtime) return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd };
  const missing = wantedInstances(facts).filter((instance) => !available.includes(instance));
  if (missing.length > 0)
    return { type, status: 'True', reason: 'InstancesMissing', message: `Not there: ${missing.join(', ')}.` };
  const nodes = new Map<string, InstanceName[]>();
  for (const instance of available) {
    const node = podOf(facts, instance)?.node ?? '';
    nodes.set(node, [...(nodes.get(node) ?? []), instance]);
  }
  const shared = [...nodes].find(([, instances]) => instances.length > 1);
  if (shared)
    return {
      type,
      status: 'True',
      reason: 'SharedNode',
      message: `${shared[1].join(', ')} run on one node, ${shared[0]}: its loss takes them all.`,
    };
  return { type, status: 'False', reason: 'FullyRedundant', message: 'All instances are there.' };
}

function judgeSyncQuorum(facts: Facts, runtime: ClusterRuntime | undefined): Judgement<'SyncQuorumSatisfied'> {
  const type = 'SyncQuorumSatisfied';
  if (!runtime) return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd };
  const { mode, acknowledgements } = effectiveDurability(facts.cluster.spec);
  if (acknowledgements === 0)
    return { type, status: 'True', reason: 'NotRequired', message: 'Writes wait for no replica, as asked for.' };
  if (runningPrimary(runtime) === undefined || !runtime.sync)
    return { type, status: 'False', reason: 'NoPrimary', message: 'No instance accepts writes.' };
  const effective = runtime.sync.acknowledgements;
  const following = runtime.sync.members.filter(
    (voter) => runtime.members.get(voter.instance)?.state === 'streaming',
  ).length;
  if (following < effective)
    return {
      type,
      status: 'False',
      reason: 'WritesBlocked',
      message: `Writes wait for ${effective} replicas of the sync set; ${following} follow.`,
    };
  if (effective < acknowledgements)
    return {
      type,
      status: 'False',
      reason: 'ReducedAcknowledgements',
      message: `Writes wait for ${effective} replicas instead of ${acknowledgements} (mode ${mode}).`,
    };
  return {
    type,
    status: 'True',
    reason: 'QuorumPresent',
    message: `Each write is on ${effective} of ${runtime.sync.members.length} replicas before it is acknowledged.`,
  };
}

function judgePendingRestart(facts: Facts, runtime: ClusterRuntime | undefined): Judgement<'PendingRestart'> {
  const type = 'PendingRestart';
  if (!runtime) return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd };
  const pending = pendingRestarts(facts, runtime);
  if (pending.length === 0)
    return { type, status: 'False', reason: 'NothingPending', message: 'No parameter waits for a restart.' };
  const what = pending.map(({ instance, parameters }) => `${instance} (${parameters.join(', ')})`).join(', ');
  const next = nextRestart(facts);
  return next.verdict === 'wait'
    ? { type, status: 'True', reason: 'Waiting', message: `${what}: ${next.message}.` }
    : { type, status: 'True', reason: 'Restarting', message: `${what}: restarted one at a time, replicas first.` };
}

function judgeData(runtime: ClusterRuntime | undefined): readonly Judgement<'DiskPressure' | 'DataCorrupted'>[] {
  if (!runtime) {
    const unknown = { status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd } as const;
    return [
      { type: 'DiskPressure', ...unknown },
      { type: 'DataCorrupted', ...unknown },
    ];
  }
  const members = [...runtime.members.values()];
  return [judgeDisks(members), judgeDamage(members, runtime.leader?.instance)];
}

function judgeLossAccepted(runtime: ClusterRuntime | undefined): Judgement<'LossAccepted'> {
  const type = 'LossAccepted';
  if (!runtime) return { type, status: 'Unknown', reason: 'RuntimeUnknown', message: silentEtcd };
  const force = standingForce(runtime);
  if (!force) return { type, status: 'False', reason: 'NotForced', message: 'Nobody has forced this primary.' };
  return { type, status: 'True', reason: 'ForcedFailover', message: lossMessage(force.winner, force.forced) };
}

export function lossMessage(
  winner: InstanceName,
  { missing, reason }: { readonly missing: readonly InstanceName[]; readonly reason: string },
): string {
  const holders = missing.length > 0 ? missing.toSorted().join(', ') : 'other instances';
  return `${winner} became primary by force (${reason}). Acknowledged writes that only ${holders} held are lost to it; their volumes keep them only until they rejoin.`;
}

function instanceStatus(
  facts: Facts,
  runtime: ClusterRuntime | undefined,
  instance: InstanceName,
  zone: string | undefined,
): InstanceStatus {
  const pod = podOf(facts, instance);
  const member = runtime?.members.get(instance);
  const leader = runtime?.leader?.instance;
  const ifLost = runtime?.explanation?.ifLost.get(instance);
  const message = member?.failing ?? member?.message ?? pod?.unschedulable?.message ?? waitingMessage(pod?.waiting);
  return {
    name: instance,
    ...(leader === instance ? { role: 'primary' as const } : member && { role: 'replica' as const }),
    state: member?.state ?? (runtime && pod && !pod.running ? 'pending' : 'unknown'),
    ...(pod?.node !== undefined && { node: pod.node }),
    ...(zone !== undefined && { zone }),
    ...(pod?.address !== undefined && { address: pod.address }),
    ...(member?.position && { position: `${member.position.epoch}:${positionText(member.position)}`.slice(0, 1024) }),
    ...lag(runtime, member),
    ...(member?.copy && { copy: member.copy }),
    ...(member?.cutTail && { cutTail: { ...member.cutTail, gtids: member.cutTail.gtids.slice(0, 512) } }),
    sync: (runtime?.sync?.members ?? []).some((voter) => voter.instance === instance),
    ...(ifLost && { ifLost: ifLostText(ifLost).slice(0, 128) }),
    ...(member?.pendingRestart && { pendingRestart: member.pendingRestart.slice(0, 200) }),
    ...(message !== undefined && { message: message.slice(0, 1024) }),
  };
}

function waitingMessage(waiting: ObservedPod['waiting']): string | undefined {
  if (!waiting) return undefined;
  return pullFailures.has(waiting.reason) ? `Image ${waiting.image} can’t be pulled.` : waiting.reason;
}

function lag(
  runtime: ClusterRuntime | undefined,
  member: Member | undefined,
): { lagBytes?: number; lagTransactions?: number } {
  const leader = runtime?.leader?.instance;
  if (leader === undefined || !member?.position || member.instance === leader) return {};
  const primary = runtime?.members.get(leader)?.position;
  if (!primary) return {};
  const { amount, of } = lackOf(primary, member.position);
  return of === 'bytes' ? { lagBytes: amount } : { lagTransactions: amount };
}

function worstLag(instances: readonly InstanceStatus[]): Pick<ClusterStatus, 'lag'> {
  const most = (known: readonly (number | undefined)[]): number | undefined => {
    const amounts = known.filter((amount) => amount !== undefined);
    return amounts.length === 0 ? undefined : Math.max(...amounts);
  };
  const transactions = most(instances.map(({ lagTransactions }) => lagTransactions));
  if (transactions !== undefined) return { lag: `${transactions} transactions` };
  const bytes = most(instances.map(({ lagBytes }) => lagBytes));
  return bytes === undefined ? {} : { lag: bytesText(bytes) };
}

function summary(judged: readonly Judgement[]): string {
  const find = (type: ConditionType) => judged.find((judgement) => judgement.type === type);
  const text =
    find('Ready')?.reason === 'Hibernated'
      ? 'Hibernated'
      : find('Ready')?.status === 'True'
        ? find('SyncQuorumSatisfied')?.status === 'False'
          ? `Ready, but ${find('SyncQuorumSatisfied')?.message ?? ''}`
          : 'Ready'
        : (find('Ready')?.message ?? '');
  return text.slice(0, 256);
}
