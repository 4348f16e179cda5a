/** Who of those that may claim should, and whether a primary that stops would have a successor (DESIGN §5, rules 5, 7, 10). */
import type { InstanceName, Member, PromiseRecord, Tags, Voter } from '../api/cluster-state.ts';
import { compareLengths } from './position.ts';
import type { HaState, Milliseconds } from './state.ts';
import { judgeTakeover, promisesFor, sameVoter, takeoverQuorum } from './takeover.ts';
import type { ClusterView } from './view.ts';

const untagged: Tags = { priority: 0, noFailover: false, noSync: false };
export const tagsOf = (view: ClusterView, instance: InstanceName): Tags =>
  view.definition?.tags?.[instance] ?? untagged;

/** Bytes that a replica replays in a millisecond, by a low estimate; what it needs besides; and steps that make no difference. */
const replayRate = 100_000;
const promotionTime = 250;
const worthADifference = 250;

/** Milliseconds until the giver of this promise could serve. */
export const estimateToServe = (promise: PromiseRecord): Milliseconds =>
  promotionTime + (promise.backlog ?? 0) / replayRate;

/**
 * The best of those who may claim: the successor that was asked for, then neither one who fails or has damaged files nor the one who gave up, then
 * the one who could serve soonest, then priority, the longest log, the name. Every instance computes the same from the same view; a
 * disagreement costs a moment, since the claim itself is one transaction.
 */
export function bestCandidate(view: ClusterView): InstanceName | undefined {
  const release = view.release?.epoch === view.epoch ? view.release : undefined;
  const asked = view.failover?.value.to ?? release?.candidate;
  const rank = ({ instance }: PromiseRecord): number => {
    if (instance === asked) return 0;
    const member = view.members.get(instance);
    if (member?.failing !== undefined || member?.corruption) return 3;
    return instance === release?.instance && release.restart === undefined ? 2 : 1;
  };
  const slowness = (promise: PromiseRecord): number => Math.floor(estimateToServe(promise) / worthADifference / 2);
  // Where nothing had to be acknowledged, each record of the longest log may be one that only it has.
  const lossy = view.sync?.value.acknowledgements === 0;
  const longest = (a: PromiseRecord, b: PromiseRecord): number => compareLengths(b.position, a.position);
  const able = promisesFor(view, view.epoch + 1).filter(
    ({ instance }) =>
      (instance === view.failover?.value.to || !tagsOf(view, instance).noFailover) &&
      judgeTakeover(view, instance).verdict === 'allowed',
  );
  // One that is being removed leads only if nobody else may: it may be all that is left of a write.
  const staying = able.filter((promise) => view.definition?.instances.includes(promise.instance));
  return (staying.length > 0 ? staying : able).toSorted(
    (a, b) =>
      rank(a) - rank(b) ||
      (lossy ? longest(a, b) : 0) ||
      slowness(a) - slowness(b) ||
      tagsOf(view, b.instance).priority - tagsOf(view, a.instance).priority ||
      longest(a, b) ||
      a.instance.localeCompare(b.instance, 'en'),
  )[0]?.instance;
}

/** Members that are alive, as far as etcd knows, and have not promised yet; the lost primary aside. */
export function awaitedVoters(view: ClusterView): readonly InstanceName[] {
  const promised = new Set(promisesFor(view, view.epoch + 1).map((promise) => promise.instance));
  const lost = view.leader?.value.instance ?? view.sync?.value.primary.instance;
  const able = new Set(['starting', 'streaming', 'sealed', 'stopped']);
  return [...view.members.values()]
    .filter(({ instance, state }) => instance !== lost && able.has(state) && !promised.has(instance))
    .map(({ instance }) => instance);
}

/** How long the crashed primary's return is worth waiting for, from when it could be replaced: it would serve before `own` could. */
export function worthWaitingForRestart(view: ClusterView, own: PromiseRecord): Milliseconds {
  const release = view.release?.epoch === view.epoch ? view.release : undefined;
  if (release?.restart === undefined || own.instance === release.instance) return 0;
  const back = release.restart + promotionTime;
  const returned = promisesFor(view, view.epoch + 1).some(({ instance }) => instance === release.instance);
  const sooner = back + worthADifference < estimateToServe(own);
  // One that was asked to restart in place shall lead again, unless it takes too long.
  return !returned && (sooner || release.candidate === release.instance) ? release.restart + 1000 : 0;
}

/**
 * True when, should this primary end now, others that live and are well would be enough to elect one of them: the
 * condition for giving up leadership without need.
 */
export function hasSuccessor(view: ClusterView, self: InstanceName): boolean {
  const sync = view.sync?.value;
  if (!sync) return false;
  const well = (voter: Voter): boolean => {
    const member = view.members.get(voter.instance);
    return member !== undefined && sameVoter(member, voter) && isWell(member);
  };
  const others = sync.acknowledgements === 0 ? [...view.members.values()] : sync.members;
  const fit = others.filter((voter) => voter.instance !== self && well(voter));
  const mayLead = fit.some(({ instance }) => !tagsOf(view, instance).noFailover);
  if (!mayLead) return false;
  if (sync.acknowledgements === 0) return view.definition?.durability.mode === 'Async';
  return sync.members.length >= sync.acknowledgements && fit.length >= takeoverQuorum(sync);
}

/** Milliseconds until the soonest of those who could succeed would serve, by what they last said of themselves. */
export function soonestSuccessor(view: ClusterView, self: InstanceName): Milliseconds | undefined {
  if (!hasSuccessor(view, self)) return undefined;
  return Math.min(
    ...[...view.members.values()]
      .filter((member) => member.instance !== self && isWell(member))
      .map((member) => promotionTime + (member.backlog ?? 0) / replayRate),
  );
}

const standBackFor: Milliseconds = 1000;

/** Where others are enough to elect one of them, a former primary that started at once would only take their time. */
export function standsBack({ view, self, released, now }: HaState): boolean {
  if (!view || !released || now - released.at > standBackFor || view.epoch > released.epoch + 1) return false;
  const leader = view.leader?.value.instance;
  if (leader !== undefined && leader !== self.instance) return view.members.get(leader)?.state !== 'running';
  return view.epoch === released.epoch && view.release?.restart === undefined && hasSuccessor(view, self.instance);
}

const isWell = ({ state, failing }: Member): boolean =>
  failing === undefined && (state === 'streaming' || state === 'starting' || state === 'sealed');
