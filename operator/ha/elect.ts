/** Without a primary: seal, vow, promise, and claim where the promises allow it (DESIGN §5, rules 4, 5, 14). */
import { keys, type FailoverRequest, type PromiseRecord } from '../api/cluster-state.ts';
import { claim, reclaim } from './claim.ts';
import { act, answered, transact, voterOf, vow, wait, type Known } from './decision.ts';
import { comparePositions } from './position.ts';
import { wordUntil } from './proof.ts';
import type { Decision } from './state.ts';
import { awaitedVoters, bestCandidate, standsBack, tagsOf, worthWaitingForRestart } from './successor.ts';
import { judgeTakeover, sameVoter, takeoverQuorum } from './takeover.ts';
import { takeUpgraded } from './upgrade.ts';
import { epochOfEnd, type ClusterView } from './view.ts';
import { writesAtRisk, type WritesAtRisk } from './writes-at-risk.ts';

/** Time for a living primary to answer where one promise alone is a quorum: two keepalives (F20). */
const timeToAnswer = 1000;

export function elect(state: Known): Decision {
  const { view, database } = state;
  const next = view.epoch + 1;
  switch (database.status) {
    case 'unknown':
      return wait('unready', 'looking at the data directory');
    case 'absent':
    case 'broken':
      return wait('dataless', 'no data yet; waiting for a primary to clone from');
    case 'stopped':
      if (state.ending) return wait('ending', 'ending');
      if (standsBack(state)) return wait('standing-back', 'leaving the election to the others for a moment');
      if (database.needsPrimary) return wait('dataless', 'rewound, and waiting for a primary to start from');
      if (database.diverged)
        return wait('dataless', 'its log left the history of the cluster; waiting for a primary to return to');
      return takeUpgraded(state, database) ?? act(state, 'starting', 'starting the database', { type: 'start' });
    case 'primary':
      // The key vanished under a primary that can still prove its lease and has not stopped since.
      return view.sync?.value.primary.instance === state.self.instance
        ? reclaim(state, database)
        : wait('fencing', 'waiting to be fenced');
    case 'replica':
      break;
  }
  if (view.initialize?.systemIdentifier !== database.systemIdentifier)
    return wait('blocked-foreign-data', 'blocked: the data on this volume belongs to another cluster');
  // An effect under way may still turn it to a primary or replace its data: its log is known to be final only after it.
  // Sealed for an adoption, or before one: its epoch is by another history than the others' positions.
  const stale =
    database.sealed !== undefined &&
    database.timeline !== undefined &&
    database.sealed.epoch !== epochOfEnd(view.history, database.timeline);
  if (!database.sealed || stale || state.inFlight.database !== undefined)
    return act(state, 'sealing', 'sealing: no more writes are received', { type: 'seal' });
  const word = wordUntil(state);
  if (state.vow < next && state.now < word)
    return wait('keeping-word', `its word not to promise holds for ${Math.ceil((word - state.now) / 1000)} s more`);
  if (state.vow < next) return vow(state, next);

  const own: PromiseRecord = {
    ...voterOf(state),
    epoch: next,
    position: database.sealed,
    ...(database.backlog === undefined ? {} : { backlog: database.backlog }),
  };
  const given = view.promises.get(state.self.instance)?.value;
  if (given?.epoch !== next || !sameVoter(given, own) || comparePositions(given.position, own.position) !== 0)
    return transact(state, 'promising', `promising epoch ${next}`, 'promise', {
      compare: [{ key: keys.epoch, is: 'value', value: String(view.epoch) }],
      writes: [{ put: keys.promise(state.self.instance), value: own }],
    });
  return claimWhenDue(state, own, database.highestTimeline);
}

function claimWhenDue(state: Known, own: PromiseRecord, highestTimeline: number): Decision {
  const { view, self, settings } = state;
  const takeover = judgeTakeover(view, self.instance);
  if (takeover.verdict !== 'allowed' && view.failover?.value.to === self.instance)
    return forceWhenAccepted(state, own, highestTimeline);
  if (takeover.verdict === 'wait')
    return wait('blocked-too-few-promises', `blocked: needs ${takeover.needed} more of ${takeover.missing.join(', ')}`);
  if (takeover.verdict === 'refused')
    return takeover.reason === 'Diverged'
      ? wait(
          'blocked-diverged',
          `blocked: it and ${takeover.from.join(', ')} each hold transactions that the other lacks`,
        )
      : wait('may-not-claim', `may not claim: ${takeover.reason}`);
  if (state.ending) return wait('ending', 'ending: leaves the claim to others');
  if (!state.lease) return wait('claiming', 'waiting for a lease to claim with');

  const waited = state.quorumSince?.epoch === view.epoch ? state.now - state.quorumSince.at : 0;
  const others = awaitedVoters(view);
  if (others.length > 0 && waited < settings.electionGrace)
    return wait('leaving-claim', `waiting a moment for ${others.join(', ')}`);
  const best = bestCandidate(view);
  // A former primary that alone holds all leads again all the same: nobody else could.
  const indispensable = best === undefined && takeover.because === 'RecordedPrimary' && isRecorded(view, own);
  const asked = view.failover?.value.to === self.instance;
  if (tagsOf(view, self.instance).noFailover && !indispensable && !asked)
    return wait('may-not-claim', 'may not claim: tagged noFailover');
  if (best !== self.instance && waited < settings.candidateGrace)
    return wait('leaving-claim', `leaving the claim to ${best ?? 'others'}`);
  if (waited < worthWaitingForRestart(view, own))
    return wait('leaving-claim', `leaving the claim to ${view.release?.instance ?? ''}, which will be back sooner`);
  if (takeover.because === 'NothingAcknowledged' && view.release?.epoch !== view.epoch) {
    if (state.now < surelyFencedAt(state))
      return wait('waiting-for-fence', 'waiting until the former primary is fenced');
  }
  if (view.leader && view.sync && takeoverQuorum(view.sync.value) === 1 && waited < timeToAnswer)
    return wait('waiting-for-fence', 'one promise is a quorum: giving the primary time to answer');
  return claim(state, own.position, highestTimeline);
}

function reasonAgainstForcing(request: FailoverRequest, risk: WritesAtRisk, wall: string): string | undefined {
  if (request.deadline <= wall) return 'its deadline is over';
  const missing = risk.missing.join(', ');
  if (!request.acceptDataLoss)
    return `not safe without ${missing}: ${risk.text}; to go on all the same, ask again with acceptDataLoss`;
  // While they reach each other they need no etcd to go on (rule 9).
  if (risk.mayStillServe && !request.fenced)
    return `${missing} may be serving clients at this moment, and what they acknowledge would be lost later: switch them off, and say so with fenced`;
  return undefined;
}

const isRecorded = (view: ClusterView, own: PromiseRecord): boolean =>
  view.sync !== undefined && sameVoter(view.sync.value.primary, own);

/** A primary that nobody acknowledges tells etcd of itself once a second, and renews its lease twice; this more may lie between the last of each. */
const renewalsUnseen = 500;

/**
 * Without a release note the key may have expired, then its holder is fenced; or somebody has revoked the lease of a living
 * one, which may serve until its own deadline (F15). One whose lease expired was last heard, by itself or in etcd, a TTL ago.
 */
function surelyFencedAt({ view, leaderGoneSince, primaryHeard, settings }: Known): number {
  if (leaderGoneSince?.epoch !== view.epoch) return Infinity;
  const expired = primaryHeard?.epoch === view.epoch ? primaryHeard.at + settings.ttl + renewalsUnseen : Infinity;
  return Math.min(expired, leaderGoneSince.at + settings.ttl);
}

/** Nobody can prove to hold all that was acknowledged: only a person's explicit acceptance goes on from here (rule 14). */
function forceWhenAccepted(state: Known, own: PromiseRecord, highestTimeline: number): Decision {
  const { view } = state;
  const request = view.failover;
  if (!request) return wait('may-not-claim', 'no failover is asked for');
  const risk = writesAtRisk(view, own, state.lastPositions);
  const refusal = reasonAgainstForcing(request.value, risk, state.wall);
  if (refusal !== undefined)
    return transact(state, 'may-not-claim', `refusing a failover: ${refusal}`, 'refuse-failover', {
      compare: [{ key: keys.failover, is: 'modRevision', modRevision: request.modRevision }],
      writes: [{ delete: keys.failover }, answered(state, request.value.id, 'refused', refusal)],
    });
  // Its holder may still serve, and acknowledge by members that have promised nothing.
  if (view.leader) return wait('waiting-for-fence', 'waiting until the lease of the former primary has ended');
  return claim(state, own.position, highestTimeline, {
    request: request.value.id,
    reason: request.value.reason,
    missing: risk.missing,
  });
}
