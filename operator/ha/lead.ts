/** The holder of the leader key: promotion, service, hand-over, release (DESIGN §5, rules 2, 6–8, 10, 13). */
import { keys, type Leader, type Member, type SyncState } from '../api/cluster-state.ts';
import { reclaim } from './claim.ts';
import { act, answered, now, revoke, transact, vow, wait, type Known, type Primary } from './decision.ts';
import { isFenced } from './fenced.ts';
import { isFounder } from './found.ts';
import type { Decision, DatabaseState } from './state.ts';
import { refuseReinitialization } from './reinitialize.ts';
import { restartIfAsked } from './restart.ts';
import { hasSuccessor, soonestSuccessor, tagsOf } from './successor.ts';
import { isOutOfReach } from './suspicion.ts';
import { planSyncSet } from './sync-set.ts';
import { promisesFor, sameVoter, takeoverQuorum } from './takeover.ts';
import { prepareUpgrade, upgradeStopped } from './upgrade.ts';

/** A successor is at work at once; a restarted primary has to be elected as well. */
const successorHeadStart = 250;
/** A database that fails, and has no successor, is restarted in place after this time. */
const restartAfter = 30_000;

export function lead(state: Known, leader: Leader): Decision {
  const { view, database } = state;
  if (leader.lease !== state.lease) {
    // The key of this instance's former life. The volume's lock, taken at start, proves that its processes are gone (rule 12).
    if (database.status === 'primary')
      return wait('serving', 'holding on to leadership under a lease that has been replaced');
    return revoke(state, leader.lease);
  }
  switch (database.status) {
    case 'unknown':
      return wait('unready', 'looking at the data directory');
    case 'absent':
    case 'broken':
      return release(state, 'DataLost');
    case 'stopped': {
      const upgrading = upgradeStopped(state, database);
      if (upgrading) return upgrading;
      return isFounder(view, database.highestTimeline) && !isLeaving(state)
        ? act(state, 'starting', 'starting the new database', { type: 'start' })
        : releaseStopped(state, database);
    }
    case 'replica':
      return becomePrimary(state, database);
    case 'primary':
      return serve(state, database);
  }
}

function becomePrimary(state: Known, database: DatabaseState & { readonly status: 'replica' }): Decision {
  const { view } = state;
  if (!isProven(state)) return wait('promoting', 'waiting for proof of the lease');
  const failing = whileFailing(state);
  if (failing) return failing;
  // It may end as a primary: until then leadership can't be let go, whoever asks for it.
  if (state.inFlight.database === 'promote') return wait('promoting', `becoming primary of epoch ${view.epoch}`);
  if (state.vow < view.epoch) return vow(state, view.epoch);
  const entry = view.history.get(view.epoch);
  if (!view.sync || entry?.timeline === undefined)
    return wait('promoting', 'blocked: the claim left no sync set or timeline in etcd');
  // The log may have moved between the claim and now only if the database was restarted: then let all be judged anew.
  if (!database.sealed && isFounder(view, database.highestTimeline))
    return act(state, 'sealing', 'sealing before the promotion', { type: 'seal' });
  if (!database.sealed || isLeaving(state)) return release(state, 'DatabaseExited');
  if (state.backOff.has('promote')) return release(state, 'PromotionFailed');
  const { members, acknowledgements } = view.sync.value;
  return act(state, 'promoting', `becoming primary of epoch ${view.epoch}`, {
    type: 'promote',
    epoch: view.epoch,
    timeline: entry.timeline,
    sync: { members, acknowledgements },
  });
}

function serve(state: Known, database: Primary): Decision {
  const { view } = state;
  if (!state.proven || state.now >= state.proven.until)
    return wait('serving-on-pledges', 'etcd is silent: serving on the word of replicas, changing nothing');
  const failing = whileFailing(state);
  if (failing) return failing;
  const handOver =
    plannedHandOver(state) ?? restartIfAsked(state) ?? refuseFailover(state) ?? refuseReinitialization(state);
  if (handOver) return handOver;
  // A living primary that is voted out keeps its place by claiming the next epoch itself, if it comes first (rule 13).
  if (isVotedOut(state))
    return isOutOfReach(state)
      ? wait('serving', 'out of reach of its replicas: leaving the claim to them')
      : reclaim(state, database);
  if (state.vow < view.epoch) return vow(state, view.epoch); // after a claim made while serving
  const upgrade = prepareUpgrade(state, database);
  if (upgrade) return upgrade;

  // Opening waits for as many as the database asks for: where etcd has lowered that already, the database comes first.
  const lowering = (database.applied?.acknowledgements ?? 0) > (view.sync?.value.acknowledgements ?? 0);
  const opening = database.open || lowering ? undefined : act(state, 'opening', 'opening to clients', { type: 'open' });
  const upkeep = keepRecords(state, database) ?? keepSyncSet(state, database);
  if (!opening) return upkeep;
  // Opening may have to wait for a member to join: what goes to etcd goes on meanwhile.
  return opening.effects.length === 0
    ? { ...upkeep, phase: opening.phase, because: opening.because }
    : { ...opening, effects: [...opening.effects, ...upkeep.effects.filter((effect) => effect.type === 'txn')] };
}

/** Somebody has bound itself to the next epoch: it follows this one no more, whether its promise has arrived or not. */
function isVotedOut({ view, self }: Known): boolean {
  return (
    promisesFor(view, view.epoch + 1).length > 0 ||
    [...view.members.values()].some((member) => member.instance !== self.instance && member.vow === view.epoch + 1)
  );
}

// ---- upkeep ----------------------------------------------------------------------------------------------------------

/** Epochs that are kept: no log that takes part ends before them. */
const keptEpochs = 64;

function keepRecords(state: Known, database: Primary): Decision | undefined {
  const { view } = state;
  const entry = view.history.get(view.epoch);
  if (!entry || entry.lineage || !view.leader) return undefined;
  // Only the newest lineage is ever asked for; each is as long as all before it.
  const former = [...view.history.values()].filter(({ epoch, lineage }) => epoch < view.epoch && lineage !== undefined);
  const old = [...view.history.keys()].filter((epoch) => epoch <= view.epoch - keptEpochs);
  return transact(state, 'serving', 'recording the timeline', 'history', {
    compare: [{ key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision }],
    writes: [
      { put: keys.history(view.epoch), value: { ...entry, lineage: database.lineage, marker: database.marker } },
      ...former
        .filter(({ epoch }) => !old.includes(epoch))
        .slice(-most)
        .map((before) => ({ put: keys.history(before.epoch), value: { ...before, lineage: undefined } })),
      ...old.slice(0, most).map((epoch) => ({ delete: keys.history(epoch) })),
    ],
  });
}

/** Changes of each kind at once: etcd takes 128 operations in a transaction. */
const most = 50;

function keepSyncSet(state: Known, database: Primary): Decision {
  const { view } = state;
  // One change at a time: until the last one is known, the database and etcd may each be on either side of it (F4).
  if (state.inFlight.dcs === 'sync' || state.inFlight.database === 'configure-sync')
    return wait('serving', 'changing the sync set');
  if (!view.sync || !view.definition) return wait('serving', 'blocked: no sync set in etcd');
  const { modRevision, value: sync } = view.sync;
  const write = (because: string, to: Pick<SyncState, 'members' | 'acknowledgements'>): Decision =>
    transact(state, 'serving', because, 'sync', {
      compare: [
        { key: keys.epoch, is: 'value', value: String(view.epoch) },
        { key: keys.sync, is: 'modRevision', modRevision },
      ],
      writes: [{ put: keys.sync, value: { ...sync, members: to.members, acknowledgements: to.acknowledgements } }],
    });
  if (state.syncUnsettled.length > 0) return write('settling a sync set write of unknown outcome', sync);
  // A member that has lost its data, or must replace it, will never acknowledge again what it once did.
  const departed = sync.members.filter((m) => {
    const member = view.members.get(m.instance);
    return member !== undefined && (member.incarnation !== m.incarnation || member.state === 'diverged');
  });
  if (!state.replicas) return wait('serving', 'looking at the replicas');
  const replaced = new Set<Member['state']>(['diverged', 'rewinding', 'cloning', 'waiting', 'initializing']);
  const countable = state.replicas.filter(({ voter: v }) => {
    const member = view.members.get(v.instance);
    // Of one that isn't listed nobody knows whether it is replacing its data: it may stay, and doesn't begin to count.
    const mayCount = member
      ? sameVoter(member, v) && !replaced.has(member.state)
      : sync.members.some((m) => sameVoter(m, v));
    return !tagsOf(view, v.instance).noSync && mayCount;
  });
  const change = planSyncSet(sync, database.applied, countable, departed, view.definition);
  switch (change.where) {
    case 'database':
      return act(state, 'serving', 'changing the sync set in the database', {
        type: 'configure-sync',
        to: change.to,
        barrier: change.barrier,
      });
    case 'etcd':
      return write('recording the sync set', change.to);
    case 'nowhere':
      return wait('serving', 'serving');
  }
}

// ---- giving up -------------------------------------------------------------------------------------------------------

/** A database that hangs, or a disk that takes no more writes, is as good as dead where another could serve (rule 10). */
function whileFailing(state: Known): Decision | undefined {
  const { view, self, health } = state;
  // Its end is told before its state; a dead database must not claim again.
  if (state.inFlight.database === 'kill')
    return wait('giving-up', 'waiting for every process of the database to be gone');
  if (health.status === 'well') return undefined;
  const hungForLong = health.reason === 'DatabaseHung' && state.now - health.since > restartAfter;
  const why = hasSuccessor(view, self.instance) ? 'giving up' : hungForLong ? 'restarting' : undefined;
  if (why !== undefined)
    return now('giving-up', `${why}: ${health.detail}`, {
      type: 'kill',
      reason: health.detail,
      givesUp: health.reason,
    });
  // Nothing else that is asked of it would end.
  return health.reason === 'DatabaseHung' || health.reason === 'DiskStalled'
    ? wait('failing', `failing, and no successor is fit: ${health.detail}`)
    : undefined;
}

/** Stops for a switchover request or the end of the process, or refuses the request. */
function plannedHandOver(state: Known): Decision | undefined {
  const { view } = state;
  if (isLeaving(state)) return act(state, 'handing-over', 'stopping for a hand-over', { type: 'stop' });
  const request = view.switchover;
  if (!request || !state.replicas) return undefined;
  const refusal = reasonAgainst(state, request.value);
  if (refusal === undefined) return act(state, 'handing-over', 'stopping for a switchover', { type: 'stop' });
  return transact(state, 'serving', `refusing a switchover: ${refusal}`, 'refuse-switchover', {
    compare: [{ key: keys.switchover, is: 'modRevision', modRevision: request.modRevision }],
    writes: [{ delete: keys.switchover }, answered(state, request.value.id, 'refused', refusal)],
  });
}

function reasonAgainst(
  { view, self, replicas, wall }: Known,
  request: { readonly from: string; readonly to?: string | undefined; readonly deadline: string },
): string | undefined {
  const sync = view.sync?.value;
  if (request.from !== self.instance) return `${request.from} is not the primary, ${self.instance} is`;
  if (request.deadline <= wall) return 'its deadline is over';
  const fit = (replicas ?? []).filter((r) => r.streaming && sync?.members.some((m) => sameVoter(m, r.voter)));
  const needed = !sync || sync.acknowledgements === 0 ? 1 : takeoverQuorum(sync);
  if (fit.length < needed)
    return `${needed} members of the sync set must stream, ${fit.length} do: too few to elect a successor`;
  const able = fit.map((r) => r.voter.instance).filter((instance) => !tagsOf(view, instance).noFailover);
  if (request.to === undefined) return able.length > 0 ? undefined : 'every fit replica is tagged noFailover';
  return able.includes(request.to)
    ? undefined
    : `${request.to} does not stream as a member of the sync set, or may not lead`;
}

/** A forced failover is for a cluster without a primary. */
function refuseFailover(state: Known): Decision | undefined {
  const { failover } = state.view;
  if (!failover) return undefined;
  const because = `${state.self.instance} serves as primary: ask for a switchover`;
  return transact(state, 'serving', `refusing a failover: ${because}`, 'refuse-failover', {
    compare: [{ key: keys.failover, is: 'modRevision', modRevision: failover.modRevision }],
    writes: [{ delete: keys.failover }, answered(state, failover.value.id, 'refused', because)],
  });
}

function releaseStopped(state: Known, database: DatabaseState & { readonly status: 'stopped' }): Decision {
  const { view, givingUp } = state;
  if (isLeaving(state) || view.switchover) return release(state, 'Switchover');
  if (givingUp?.epoch === view.epoch) return release(state, givingUp.reason);
  if (view.restarts.has(state.self.instance)) return release(state, 'Restart', database.recovery ?? 0);
  // Once it may come back by itself, where that is sooner; one that crashes again leaves leadership to others (rule 8).
  const successor = soonestSuccessor(view, state.self.instance) ?? Infinity;
  const back = (database.recovery ?? Infinity) + successorHeadStart;
  return release(
    state,
    'DatabaseExited',
    state.crashes.length <= 1 && back < successor ? database.recovery : undefined,
  );
}

/** Gives up leadership after the database has ended, so that the others need not wait for the lease. */
function release(state: Known, reason: string, restart?: number): Decision {
  const { view, self } = state;
  if (!view.leader) return wait('releasing', 'leadership is gone already');
  const handOver = view.switchover && { key: keys.switchover, ...view.switchover.value };
  const restarts = reason === 'Restart' ? view.restarts.get(self.instance)?.value : undefined;
  const inPlace = restarts && { key: keys.restart(self.instance), ...restarts, to: self.instance };
  const request = handOver ?? inPlace;
  return transact(state, 'releasing', 'releasing leadership', 'release', {
    compare: [
      { key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision },
      { key: keys.epoch, is: 'value', value: String(view.epoch) },
    ],
    writes: [
      { delete: keys.leader },
      {
        put: keys.release,
        value: { epoch: view.epoch, instance: self.instance, reason, candidate: request?.to, restart },
      },
      ...(request
        ? [
            { delete: request.key },
            answered(state, request.id, 'done', `${self.instance} has stopped; epoch ${view.epoch + 1} is next`),
          ]
        : []),
    ],
  });
}

/** Its process ends, or it is fenced: somebody else shall lead. */
const isLeaving = (state: Known): boolean => state.ending || isFenced(state);

const isProven = (state: Known): boolean =>
  state.proven !== undefined && state.proven.epoch === state.view.epoch && state.now < state.proven.until;
