/** Events that a change of status deserves. */
import type { EventReason } from '../../api/event-reasons.ts';
import type { Condition } from '../../api/cluster-status.ts';
import type { ClusterStatus } from '../../api/database-cluster.ts';
import { lossMessage } from './status.ts';

export interface ClusterEvent {
  readonly reason: EventReason;
  readonly note: string;
}

export function eventsBetween(before: ClusterStatus, after: ClusterStatus, instances: number): readonly ClusterEvent[] {
  return [
    ...singleInstance(before, instances),
    ...hibernation(before, after),
    ...disruption(before, after),
    ...leadership(before, after),
    ...force(before, after),
    ...answers(before, after),
    ...stalls(before, after),
    ...troubles(before, after),
    ...certificates(before, after),
    ...turned(before, after, 'Degraded', {
      lost: 'RedundancyReduced',
      found: 'RedundancyRestored',
      // What a change under way takes down and brings up is no news.
      since: ![before, after].some((status) => conditionOf(status, 'Reconciling')?.status === 'True'),
    }),
    ...turned(before, after, 'SyncQuorumSatisfied', {
      lost: 'SyncQuorumLost',
      found: 'SyncQuorumRestored',
      since: (before.epoch ?? 0) > 0,
    }),
    ...declared(before, after, 'RolesReady'),
    ...declared(before, after, 'DatabasesReady'),
  ];
}

/** Told again when it gets worse, or of something else. */
function troubles(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  return (
    [
      ['DiskPressure', 'DiskPressure', 'DiskPressureOver'],
      ['DataCorrupted', 'DataCorrupted', 'DataCorruptionOver'],
    ] as const
  ).flatMap(([type, begins, ends]): readonly ClusterEvent[] => {
    const [then, now] = [conditionOf(before, type), conditionOf(after, type)];
    if (!now || now.status === 'Unknown' || then?.reason === now.reason) return [];
    if (now.status === 'True') return [{ reason: begins, note: now.message }];
    return then?.status === 'True' ? [{ reason: ends, note: now.message }] : [];
  });
}

/** Once for each reason; what is on its way is no news. */
function declared(
  before: ClusterStatus,
  after: ClusterStatus,
  type: 'RolesReady' | 'DatabasesReady',
): readonly ClusterEvent[] {
  const [then, now] = [conditionOf(before, type), conditionOf(after, type)];
  if (!now || now.reason === then?.reason) return [];
  switch (now.reason) {
    case 'Failed':
    case 'SecretUnusable':
      return [{ reason: 'DeclarationFailed', note: now.message }];
    case 'Drifted':
      return [{ reason: 'DeclarationDrifted', note: now.message }];
    case 'Applied':
      return [{ reason: 'DeclarationApplied', note: now.message }];
    default:
      return [];
  }
}

function singleInstance(before: ClusterStatus, instances: number): readonly ClusterEvent[] {
  const wasSingle = before.ready?.endsWith('/1') ?? false;
  if (instances !== 1 || wasSingle) return [];
  return [
    {
      reason: 'SingleInstanceNotProtected',
      note: 'One instance can’t fail over, and a drain of its node stops it. Set spec.instances to 3 for production.',
    },
  ];
}

function hibernation(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  const [was, is] = [before, after].map((status) => conditionOf(status, 'Ready')?.reason === 'Hibernated');
  if (was === is) return [];
  return is
    ? [{ reason: 'ClusterHibernated', note: 'No instance runs any more; the volumes stay.' }]
    : [{ reason: 'ClusterResumed', note: 'Instances are made again on their volumes.' }];
}

function disruption({ disruption: was }: ClusterStatus, { disruption: is }: ClusterStatus): readonly ClusterEvent[] {
  const before = was?.since === is?.since ? was?.allowed : 1;
  if (!is || before === is.allowed) return [];
  return is.allowed === 0
    ? [{ reason: 'DisruptionWithheld', note: `${is.message} Drains are refused until ${is.until} at the longest.` }]
    : [
        {
          reason: 'DisruptionOverdue',
          note: `${is.message} So it is since ${is.since}; drains are let through again.`,
        },
      ];
}

function leadership(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  const latest = after.lastFailover;
  if (!latest || latest.epoch === before.lastFailover?.epoch) return [];
  const former = before.lastFailover?.winner;
  const why = `epoch ${latest.epoch}, ${latest.reason}`;
  // With an epoch above 1 the history is of an earlier life of the data.
  if (former === undefined)
    return latest.epoch > 1 ? [] : [{ reason: 'PrimaryElected', note: `${latest.winner} is primary (${why}).` }];
  // A primary that was thought lost and was not: an epoch, but no failover.
  if (former === latest.winner && latest.epoch === (before.lastFailover?.epoch ?? 0) + 1) return [];
  // Told of on its own.
  if (latest.epoch === after.lastForcedFailover?.epoch) return [];
  const reason = latest.reason === 'Switchover' ? 'SwitchoverCompleted' : 'FailoverCompleted';
  return [{ reason, note: `From ${former} to ${latest.winner} (${why}).` }];
}

/** What a cluster seen for the first time has behind it is no news. */
const isNew = ({ observedGeneration }: ClusterStatus): boolean => observedGeneration < 0;

function force(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  const forced = after.lastForcedFailover;
  if (!forced || isNew(before) || forced.epoch === before.lastForcedFailover?.epoch) return [];
  return [{ reason: 'FailoverForced', note: lossMessage(forced.winner, forced) }];
}

function answers(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  const answer = after.lastRequest;
  if (!answer || isNew(before) || answer.id === before.lastRequest?.id) return [];
  const note = `Request ${answer.id}, answered by ${answer.instance}: ${answer.reason}`;
  return [{ reason: answer.outcome === 'Refused' ? 'RequestRefused' : 'RequestDone', note }];
}

function stalls(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  const stalled = conditionOf(after, 'Stalled');
  if (stalled?.status !== 'True' || conditionOf(before, 'Stalled')?.reason === stalled.reason) return [];
  switch (stalled.reason) {
    case 'SpecInvalid':
    case 'ImageUnavailable':
    case 'NameConflict':
    case 'VolumeConflict':
    case 'VolumeNotExpandable':
    case 'VolumeNotReplaceable':
    case 'VolumeLost':
    case 'SettingsRefused':
    case 'BootstrapFailed':
      return [{ reason: stalled.reason, note: stalled.message }];
    default:
      return [{ reason: 'ReconcileFailed', note: stalled.message }];
  }
}

function certificates(before: ClusterStatus, after: ClusterStatus): readonly ClusterEvent[] {
  const now = conditionOf(after, 'CertificatesValid');
  if (now?.status !== 'False' || now.reason === 'Missing') return [];
  const then = conditionOf(before, 'CertificatesValid');
  return then?.reason === now.reason ? [] : [{ reason: 'CertificateProblem', note: now.message }];
}

function turned(
  before: ClusterStatus,
  after: ClusterStatus,
  type: 'Degraded' | 'SyncQuorumSatisfied',
  what: { readonly lost: EventReason; readonly found: EventReason; readonly since: boolean },
): readonly ClusterEvent[] {
  const [then, now] = [conditionOf(before, type), conditionOf(after, type)];
  if (!now || now.status === 'Unknown' || !then || then.status === now.status || then.status === 'Unknown') return [];
  // A change of primary has an event of its own.
  if (!what.since || now.reason === 'NoPrimary' || then.reason === 'NoPrimary') return [];
  const isGood = (now.status === 'True') !== (type === 'Degraded');
  return [{ reason: isGood ? what.found : what.lost, note: now.message }];
}

const conditionOf = (status: ClusterStatus, type: string): Condition | undefined =>
  status.conditions?.find((condition) => condition.type === type);
