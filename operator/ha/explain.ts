/** Why there is a primary or none, and what the loss of each instance would mean now: for status, the CLI and people. */
import type { InstanceName, Member } from '../api/cluster-state.ts';
import { lossInGroup, verdictInGroup, whyNoPrimary } from './group/explain.ts';
import { awaitedVoters, bestCandidate, tagsOf } from './successor.ts';
import { judgeTakeover, promisesFor, sameVoter, takeoverQuorum } from './takeover.ts';
import type { ClusterView } from './view.ts';

export interface Explanation {
  readonly primary:
    | { readonly instance: InstanceName; readonly epoch: number; readonly because: string; readonly since: string }
    | undefined;
  /** One sentence: who leads and why, or why nobody does and what would help. */
  readonly summary: string;
  /** Without a primary: what each instance would need to lead. */
  readonly candidates: readonly { readonly instance: InstanceName; readonly verdict: string }[];
  /** For each instance that should exist. */
  readonly ifLost: ReadonlyMap<InstanceName, Consequence>;
}

export interface Consequence {
  /** `unaffected`: service goes on. `blocked`: nobody could prove to hold all that was acknowledged. */
  readonly outcome: 'failover' | 'unaffected' | 'unprotected' | 'writes-stop' | 'blocked';
  readonly successor?: InstanceName;
  readonly text: string;
}

export function explain(view: ClusterView): Explanation {
  const primary = leaderOf(view);
  const candidates = primary
    ? []
    : instancesOf(view).map((instance) => ({ instance, verdict: verdictOn(view, instance) }));
  return {
    primary,
    summary: primary ? `${primary.instance} leads epoch ${primary.epoch}: ${primary.because}` : whyNobody(view),
    candidates,
    ifLost: new Map(instancesOf(view).map((instance) => [instance, consequenceOf(view, instance)])),
  };
}

const reasons: Readonly<Record<string, string>> = {
  Bootstrap: 'it founded the cluster',
  DatabaseExited: 'the database of its predecessor ended',
  DatabaseHung: 'the database of its predecessor hung',
  DiskStalled: 'the disk of its predecessor stalled',
  DiskFull: 'the disk of its predecessor was full',
  DiskReadOnly: 'the disk of its predecessor could only be read',
  DataLost: 'its predecessor had lost its data',
  PromotionFailed: 'the promotion of its predecessor failed',
  Switchover: 'its predecessor handed over',
  PrimaryUnreachable: 'enough replicas had lost its predecessor',
  LeaseExpired: 'the lease of its predecessor had expired',
  PrimaryAlive: 'it was voted out, and claimed again before anybody else',
  ElectedByGroup: 'the group elected it',
  Restarted: 'after a full outage its log contained all others',
  Forced: 'a person forced the failover and accepted the loss of writes',
  Adopted: 'it had the longest log when another etcd was adopted',
};

function leaderOf(view: ClusterView): Explanation['primary'] {
  const leader = view.leader?.value;
  if (!leader) return undefined;
  const entry = view.history.get(view.epoch);
  const reason = entry?.reason ?? '';
  return { instance: leader.instance, epoch: view.epoch, because: reasons[reason] ?? reason, since: entry?.at ?? '' };
}

const instancesOf = (view: ClusterView): readonly InstanceName[] => view.definition?.instances ?? [];

function whyNobody(view: ClusterView): string {
  if (!view.definition) return 'The operator has not published the cluster’s definition yet.';
  if (view.definition.group) return whyNoPrimary(view);
  if (!view.initialize)
    return view.bootstrap ? `${view.bootstrap.value} initialises the cluster.` : 'No instance has started yet.';
  if (view.initialize.etcdClusterId !== view.etcdClusterId)
    return 'etcd is not the one that the cluster began with (restored, or replaced): elections are frozen until it is adopted.';
  const sync = view.sync?.value;
  if (!sync) return 'etcd holds no sync set.';
  const best = bestCandidate(view);
  const awaited = awaitedVoters(view);
  if (best) return `${best} is about to claim epoch ${view.epoch + 1}.`;
  if (awaited.length > 0) return `Waiting for the promises of ${awaited.join(', ')}.`;
  const promised = promisesFor(view, view.epoch + 1);
  const absent = sync.members.filter((m) => !promised.some((p) => sameVoter(p, m))).map((m) => m.instance);
  const others =
    sync.acknowledgements > 0 && sync.members.length >= sync.acknowledgements
      ? `, or ${Math.max(1, takeoverQuorum(sync) - (sync.members.length - absent.length))} of ${absent.join(', ')}`
      : '';
  return (
    `Blocked: acknowledged writes may be only where nobody can look. Needed: the former primary ${sync.primary.instance}${others}. ` +
    'If they are lost for good, a failover can be forced, which loses what only they had.'
  );
}

function verdictOn(view: ClusterView, instance: InstanceName): string {
  if (view.definition?.group) return verdictInGroup(view, instance);
  const takeover = judgeTakeover(view, instance);
  switch (takeover.verdict) {
    case 'allowed':
      return tagsOf(view, instance).noFailover ? 'could lead, but is tagged noFailover' : 'may lead';
    case 'wait':
      return `needs ${takeover.needed} more of ${takeover.missing.join(', ')}`;
    case 'refused':
      switch (takeover.reason) {
        case 'NotPromised':
          return view.members.has(instance) ? 'has not sealed its log yet' : 'is not there';
        case 'Diverged':
          return `it and ${takeover.from.join(', ')} each hold transactions that the other lacks`;
        case 'NoSyncState':
          return 'etcd holds no sync set';
        case 'OnlyRecordedPrimary':
          return `only ${view.sync?.value.primary.instance ?? 'the recorded primary'} holds all that was acknowledged`;
      }
  }
}

function consequenceOf(view: ClusterView, lost: InstanceName): Consequence {
  if (view.definition?.group) return lossInGroup(view, lost);
  const sync = view.sync?.value;
  const leader = view.leader?.value.instance;
  if (!sync || !leader) return { outcome: 'blocked', text: 'There is no primary now.' };
  const live = (instance: InstanceName, incarnation?: string): boolean => {
    const member = view.members.get(instance);
    return (
      instance !== lost &&
      member?.state === 'streaming' &&
      (incarnation === undefined || member.incarnation === incarnation)
    );
  };
  const voters = sync.members.filter((m) => live(m.instance, m.incarnation)).map((m) => m.instance);
  if (lost !== leader) return withoutReplica(view, lost, voters.length);

  if (sync.acknowledgements === 0) {
    const async = view.definition?.durability.mode === 'Async';
    const replicas = [...view.members.values()].filter((m: Member) => live(m.instance)).map((m) => m.instance);
    const successor = preferred(view, replicas);
    return async && successor !== undefined
      ? { outcome: 'failover', successor, text: `${successor} takes over; writes that only ${lost} has are lost.` }
      : { outcome: 'blocked', text: `No replica has to hold what ${lost} acknowledges: it alone could lead again.` };
  }
  const needed = takeoverQuorum(sync);
  const successor = preferred(view, voters);
  return sync.members.length >= sync.acknowledgements && voters.length >= needed && successor !== undefined
    ? {
        outcome: 'failover',
        successor,
        text: `${successor}, or another member of the sync set that is further, takes over; nothing acknowledged is lost.`,
      }
    : {
        outcome: 'blocked',
        text: `${needed} streaming members of the sync set are needed for a takeover, ${voters.length} would be left.`,
      };
}

function withoutReplica(view: ClusterView, lost: InstanceName, left: number): Consequence {
  const needed = view.sync?.value.acknowledgements ?? 0;
  if (left >= needed || !view.sync?.value.members.some((m) => m.instance === lost))
    return { outcome: 'unaffected', text: 'Service goes on.' };
  return view.definition?.durability.mode === 'Strict'
    ? { outcome: 'writes-stop', text: `Writes wait: ${needed} replicas must hold each, ${left} would be left.` }
    : { outcome: 'unprotected', text: `Writes go on with ${left} replicas that hold them.` };
}

/** By tags and name; which log is the longest shows only in the election. */
const preferred = (view: ClusterView, instances: readonly InstanceName[]): InstanceName | undefined =>
  instances
    .filter((instance) => !tagsOf(view, instance).noFailover)
    .toSorted((a, b) => tagsOf(view, b).priority - tagsOf(view, a).priority || a.localeCompare(b, 'en'))[0];
