/**
 * What one instance does next, from all that it knows (DESIGN §5). Level-triggered: the same state gives the same
 * decision, whatever event led there; at most one effect of each channel (database, etcd, own disk) is under way.
 */
import {
  keys,
  type HistoryEntry,
  type Leader,
  type Member,
  type PromiseRecord,
  type SyncState,
} from '../api/cluster-state.ts';
import { planSyncSet } from './sync-set.ts';
import type { DatabaseEffect, DatabaseState, Decision, Effect, HaState, Txn, TxnPurpose } from './state.ts';
import { primaryLost } from './suspicion.ts';
import { awaitedVoters, bestCandidate, judgeTakeover, promisesFor, sameVoter, takeoverQuorum } from './takeover.ts';
import type { ClusterView } from './view.ts';

type Known = HaState & { readonly view: ClusterView };
type Primary = DatabaseState & { readonly status: 'primary' };

export function decide(state: HaState): Decision {
  const fence = mustFence(state);
  if (fence) return state.inFlight.database === 'kill' ? wait(fence) : now(fence, { type: 'kill', reason: fence });

  const { view } = state;
  if (!view?.definition) return wait('waiting for the cluster definition in etcd');
  const known = { ...state, view };
  if (view.initialize && view.initialize.etcdClusterId !== view.etcdClusterId)
    return wait('blocked: etcd is not the one this cluster began with; elections stay frozen until it is adopted');
  if (!view.initialize) return bootstrap(known);
  if (state.vow > view.epoch + 1)
    return wait(
      `blocked: etcd is at epoch ${view.epoch}, this instance has promised ${state.vow}; etcd went back in time`,
    );

  const leader = view.leader?.value;
  if (leader?.instance === state.self.instance && state.database.status !== 'unknown') return lead(known, leader);
  // A vow under way binds already: nothing may be begun that it would forbid.
  if (state.inFlight.disk) return wait('writing a vow');
  if (!leader || state.vow > view.epoch || primaryLost(view, state.self.instance, state.lostPrimaryOf))
    return elect(known);
  return followLeader(known, leader);
}

/** Why a primary database must die at once, if it must (rules 1 and 2). */
function mustFence(state: HaState): string | undefined {
  const { database, view, proven } = state;
  if (database.status !== 'primary' && state.inFlight.database !== 'promote') return undefined;
  if (!proven || state.now >= proven.until) return 'the lease can no longer be proven';
  if (database.status !== 'primary')
    return view?.leader?.value.instance === state.self.instance ? undefined : 'deposed while becoming primary';
  if (view && view.epoch > database.epoch && !continuesAs(view, state, database))
    return `deposed: epoch ${view.epoch} has begun`;
  return undefined;
}

/** The newer epoch in etcd is this very primary's own claim, made while it went on serving (rule 13). */
function continuesAs(view: ClusterView, state: HaState, database: Primary): boolean {
  return (
    view.sync?.value.primary.instance === state.self.instance &&
    view.history.get(view.epoch)?.timeline === database.timeline
  );
}

// ---- first bootstrap -------------------------------------------------------------------------------------------------

function bootstrap(state: Known): Decision {
  const { view, database, self } = state;
  const mine = view.bootstrap?.value === self.instance && view.bootstrap.lease === state.lease;
  // A vow means that this instance has led or followed: etcd has forgotten a cluster, whose data may be elsewhere (F9).
  if (state.vow > 0) return wait('blocked: this instance belongs to a cluster that etcd knows nothing of');
  if (database.status !== 'absent' && database.status !== 'stopped')
    return wait(
      database.status === 'unknown' ? 'looking at the data directory' : 'blocked: unknown data on this volume',
    );
  if (!view.bootstrap)
    return transact(state, 'applying to initialise the cluster', 'bootstrap', {
      compare: [
        { key: keys.bootstrap, is: 'absent' },
        { key: keys.initialize, is: 'absent' },
      ],
      writes: [{ put: keys.bootstrap, value: self.instance, leased: true }],
    });
  if (!mine) return wait(`${view.bootstrap.value} initialises the cluster`);
  return database.status === 'absent'
    ? act(state, 'initialising the database', { type: 'initialize' })
    : foundCluster(state, database.systemIdentifier, database.highestTimeline + 1);
}

function foundCluster(state: Known, systemIdentifier: string, timeline: number): Decision {
  const { view, self } = state;
  const sync: SyncState = {
    epoch: 1,
    primary: voter(state),
    members: [],
    acknowledgements: view.definition?.durability.mode === 'Strict' ? view.definition.durability.acknowledgements : 0,
  };
  return transact(state, 'founding the cluster', 'initialize', {
    compare: [
      { key: keys.initialize, is: 'absent' },
      { key: keys.epoch, is: 'absent' },
      { key: keys.bootstrap, is: 'modRevision', modRevision: view.bootstrap?.modRevision ?? 0 },
    ],
    writes: [
      { put: keys.initialize, value: { systemIdentifier, etcdClusterId: view.etcdClusterId, at: state.wall } },
      { put: keys.epoch, value: 1 },
      { put: keys.leader, value: leadership(state, 1), leased: true },
      { put: keys.sync, value: sync },
      {
        put: keys.history(1),
        value: { epoch: 1, winner: self.instance, reason: 'Bootstrap', timeline, at: state.wall },
      },
      { delete: keys.bootstrap },
    ],
  });
}

// ---- leading ---------------------------------------------------------------------------------------------------------

function lead(state: Known, leader: Leader): Decision {
  const { view, database } = state;
  if (leader.lease !== state.lease) {
    // The key of this instance's former life. The volume's lock, taken at start, proves that its processes are gone (rule 12).
    if (database.status === 'primary') return wait('holding on to leadership under a lease that has been replaced');
    return revoke(state, leader.lease);
  }
  switch (database.status) {
    case 'unknown':
      return wait('looking at the data directory');
    case 'absent':
    case 'broken':
      return release(state, 'DataLost');
    case 'stopped':
      if (isFounder(view, database.highestTimeline) && !state.ending)
        return act(state, 'starting the new database', { type: 'start' });
      return release(state, state.ending || view.switchover ? 'Switchover' : 'DatabaseExited');
    case 'replica': {
      if (!isProven(state)) return wait('waiting for proof of the lease');
      if (state.vow < view.epoch) return vow(state, view.epoch);
      const entry = view.history.get(view.epoch);
      if (!view.sync || entry?.timeline === undefined)
        return wait('blocked: the claim left no sync set or timeline in etcd');
      // The log may have moved between the claim and now only if the database was restarted: then let all be judged anew.
      if (!database.sealed && isFounder(view, database.highestTimeline))
        return act(state, 'sealing before the promotion', { type: 'seal' });
      if (!database.sealed || state.ending) return release(state, 'DatabaseExited');
      if (state.backOff.has('promote')) return release(state, 'PromotionFailed');
      const { members, acknowledgements } = view.sync.value;
      return act(state, `becoming primary of epoch ${view.epoch}`, {
        type: 'promote',
        epoch: view.epoch,
        timeline: entry.timeline,
        sync: { members, acknowledgements },
      });
    }
    case 'primary':
      return serve(state, database);
  }
}

/** The first primary, on its way from the claim that founded the cluster to its first promotion. */
function isFounder(view: ClusterView, highestTimeline: number): boolean {
  const entry = view.history.get(1);
  return view.epoch === 1 && entry?.lineage === undefined && highestTimeline < (entry?.timeline ?? 0);
}

function serve(state: Known, database: Primary): Decision {
  const { view } = state;
  const handOver = plannedHandOver(state);
  if (handOver) return handOver;
  // A living primary that is voted out keeps its place by claiming the next epoch itself, if it comes first (rule 13).
  if (promisesFor(view, view.epoch + 1).length > 0) return reclaim(state, database);

  // Opening waits for as many as the database asks for: where etcd has lowered that already, the database comes first.
  const lowering = (database.applied?.acknowledgements ?? 0) > (view.sync?.value.acknowledgements ?? 0);
  const opening = database.open || lowering ? undefined : act(state, 'opening to clients', { type: 'open' });
  const upkeep = keepRecords(state, database) ?? keepSyncSet(state, database);
  if (!opening) return upkeep;
  // Opening may have to wait for a member to join: what goes to etcd goes on meanwhile.
  return opening.effects.length === 0
    ? { ...upkeep, because: opening.because }
    : {
        effects: [...opening.effects, ...upkeep.effects.filter((effect) => effect.type === 'txn')],
        because: opening.because,
      };
}

function keepRecords(state: Known, database: Primary): Decision | undefined {
  const { view } = state;
  const entry = view.history.get(view.epoch);
  if (!entry || entry.lineage || !view.leader) return undefined;
  return transact(state, 'recording the timeline', 'history', {
    compare: [{ key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision }],
    writes: [{ put: keys.history(view.epoch), value: { ...entry, lineage: database.lineage } }],
  });
}

function keepSyncSet(state: Known, database: Primary): Decision {
  const { view } = state;
  // One change at a time: until the last one is known, the database and etcd may each be on either side of it (F4).
  if (state.inFlight.dcs === 'sync' || state.inFlight.database === 'configure-sync')
    return wait('changing the sync set');
  if (!view.sync || !view.definition) return wait('blocked: no sync set in etcd');
  const { modRevision, value: sync } = view.sync;
  const write = (because: string, to: Pick<SyncState, 'members' | 'acknowledgements'>): Decision =>
    transact(state, because, 'sync', {
      compare: [
        { key: keys.epoch, is: 'value', value: String(view.epoch) },
        { key: keys.sync, is: 'modRevision', modRevision },
      ],
      writes: [{ put: keys.sync, value: { ...sync, members: to.members, acknowledgements: to.acknowledgements } }],
    });
  if (state.syncUnsettled) return write('settling a sync set write of unknown outcome', sync);
  // A member that has lost its data, or must replace it, will never acknowledge again what it once did.
  const departed = sync.members.filter((m) => {
    const member = view.members.get(m.instance);
    return member !== undefined && (member.incarnation !== m.incarnation || member.state === 'diverged');
  });
  if (!state.replicas) return wait('looking at the replicas');
  const replaced = new Set<Member['state']>(['diverged', 'rewinding', 'cloning', 'waiting', 'initializing']);
  const countable = state.replicas.filter(({ voter: v }) => {
    const member = view.members.get(v.instance);
    return !member || !replaced.has(member.state);
  });
  const change = planSyncSet(sync, database.applied, countable, departed, view.definition);
  switch (change.where) {
    case 'database':
      return act(state, 'changing the sync set in the database', {
        type: 'configure-sync',
        to: change.to,
        barrier: change.barrier,
      });
    case 'etcd':
      return write('recording the sync set', change.to);
    case 'nowhere':
      return wait('serving');
  }
}

/** Stops for a switchover request or the end of the process, or refuses the request. */
function plannedHandOver(state: Known): Decision | undefined {
  const { view, self } = state;
  const request = view.switchover;
  if (state.ending) return act(state, 'stopping for a hand-over', { type: 'stop' });
  if (!request) return undefined;
  const sync = view.sync?.value;
  if (!state.replicas) return undefined;
  const fit = state.replicas.filter((r) => r.streaming && sync?.members.some((m) => sameVoter(m, r.voter)));
  const valid =
    request.value.from === self.instance &&
    request.value.deadline > state.wall &&
    sync !== undefined &&
    fit.length >= (sync.acknowledgements === 0 ? 1 : takeoverQuorum(sync)) &&
    (request.value.to === undefined || fit.some((r) => r.voter.instance === request.value.to));
  if (valid) return act(state, 'stopping for a switchover', { type: 'stop' });
  return transact(state, 'refusing a switchover: it is void, or no successor is fit', 'refuse-switchover', {
    compare: [{ key: keys.switchover, is: 'modRevision', modRevision: request.modRevision }],
    writes: [{ delete: keys.switchover }],
  });
}

/** Gives up leadership after the database has ended, so that the others need not wait for the lease. */
function release(state: Known, reason: string): Decision {
  const { view, self } = state;
  if (!view.leader) return wait('leadership is gone already');
  return transact(state, 'releasing leadership', 'release', {
    compare: [
      { key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision },
      { key: keys.epoch, is: 'value', value: String(view.epoch) },
    ],
    writes: [
      { delete: keys.leader },
      {
        put: keys.release,
        value: { epoch: view.epoch, instance: self.instance, reason, candidate: view.switchover?.value.to },
      },
      ...(view.switchover ? [{ delete: keys.switchover }] : []),
    ],
  });
}

function reclaim(state: Known, database: Primary): Decision {
  const { view, self } = state;
  if (!view.sync || !state.lease) return wait('waiting for a lease to claim the next epoch with');
  const epoch = view.epoch + 1;
  const entry: HistoryEntry = {
    epoch,
    winner: self.instance,
    reason: 'PrimaryAlive',
    timeline: database.timeline,
    lineage: database.lineage,
    at: state.wall,
  };
  return transact(state, `claiming epoch ${epoch} as the living primary`, 'reclaim', {
    compare: claimComparisons(view),
    writes: [
      { put: keys.leader, value: leadership(state, epoch), leased: true },
      { put: keys.epoch, value: epoch },
      { put: keys.sync, value: { ...view.sync.value, epoch, primary: voter(state) } },
      { put: keys.history(epoch), value: entry },
    ],
  });
}

// ---- electing --------------------------------------------------------------------------------------------------------

function elect(state: Known): Decision {
  const { view, database } = state;
  const next = view.epoch + 1;
  switch (database.status) {
    case 'unknown':
      return wait('looking at the data directory');
    case 'absent':
    case 'broken':
      return wait('no data yet; waiting for a primary to clone from');
    case 'stopped':
      if (state.ending) return wait('ending');
      return database.needsPrimary
        ? wait('rewound, and waiting for a primary to start from')
        : act(state, 'starting the database', { type: 'start' });
    case 'primary':
      // The key vanished under a primary that can still prove its lease and has not stopped since.
      return view.sync?.value.primary.instance === state.self.instance
        ? reclaim(state, database)
        : wait('waiting to be fenced');
    case 'replica':
      break;
  }
  if (view.initialize?.systemIdentifier !== database.systemIdentifier)
    return wait('blocked: the data on this volume belongs to another cluster');
  // An effect under way may still turn it to a primary or replace its data: its log is known to be final only after it.
  if (!database.sealed || state.inFlight.database !== undefined)
    return act(state, 'sealing: no more writes are received', { type: 'seal' });
  if (state.vow < next) return vow(state, next);

  const own: PromiseRecord = { ...voter(state), epoch: next, position: database.sealed };
  const given = view.promises.get(state.self.instance)?.value;
  if (
    given?.epoch !== next ||
    !sameVoter(given, own) ||
    given.position.lsn !== own.position.lsn ||
    given.position.epoch !== own.position.epoch
  )
    return transact(state, `promising epoch ${next}`, 'promise', {
      compare: [{ key: keys.epoch, is: 'value', value: String(view.epoch) }],
      writes: [{ put: keys.promise(state.self.instance), value: own }],
    });
  return claimWhenDue(state, database.sealed, database.highestTimeline);
}

function claimWhenDue(state: Known, position: PromiseRecord['position'], highestTimeline: number): Decision {
  const { view, self, settings } = state;
  const takeover = judgeTakeover(view, self.instance);
  if (takeover.verdict === 'wait')
    return wait(`blocked: needs ${takeover.needed} more of ${takeover.missing.join(', ')}`);
  if (takeover.verdict === 'refused') return wait(`may not claim: ${takeover.reason}`);
  if (state.ending) return wait('ending: leaves the claim to others');
  if (!state.lease) return wait('waiting for a lease to claim with');

  const waited = state.quorumSince?.epoch === view.epoch ? state.now - state.quorumSince.at : 0;
  const others = awaitedVoters(view);
  if (others.length > 0 && waited < settings.electionGrace) return wait(`waiting a moment for ${others.join(', ')}`);
  const best = bestCandidate(view);
  if (best !== self.instance && waited < settings.candidateGrace)
    return wait(`leaving the claim to ${best ?? 'others'}`);
  if (takeover.because === 'NothingAcknowledged' && view.release?.epoch !== view.epoch) {
    // Without a release note the holder may serve until its own deadline (F15).
    const gone = state.leaderGoneSince;
    if (gone?.epoch !== view.epoch || state.now - gone.at < settings.ttl)
      return wait('waiting until the former primary is fenced');
  }
  if (view.leader && view.sync && takeoverQuorum(view.sync.value) === 1 && waited < 2 * 500)
    return wait('one promise is a quorum: giving the primary time to answer'); // F20: two keepalives
  return claim(state, position, highestTimeline);
}

function claim(state: Known, position: PromiseRecord['position'], highestTimeline: number): Decision {
  const { view, self } = state;
  if (!view.sync) return wait('blocked: no sync set in etcd');
  const sync = view.sync.value;
  const epoch = view.epoch + 1;
  const me = voter(state);
  const everyone = sync.members.some((m) => sameVoter(m, sync.primary))
    ? sync.members
    : [...sync.members, sync.primary];
  const timeline = 1 + Math.max(highestTimeline, ...[...view.history.values()].map((entry) => entry.timeline ?? 0));
  const reason =
    view.release?.epoch === view.epoch ? view.release.reason : view.leader ? 'PrimaryUnreachable' : 'LeaseExpired';
  const entry: HistoryEntry = { epoch, winner: self.instance, reason, timeline, position, at: state.wall };
  return transact(state, `claiming epoch ${epoch}`, 'claim', {
    compare: [
      ...claimComparisons(view),
      {
        key: keys.promise(self.instance),
        is: 'modRevision',
        modRevision: view.promises.get(self.instance)?.modRevision ?? 0,
      },
    ],
    writes: [
      { put: keys.leader, value: leadership(state, epoch), leased: true },
      { put: keys.epoch, value: epoch },
      {
        put: keys.sync,
        value: {
          epoch,
          primary: me,
          members: everyone.filter((m) => m.instance !== me.instance),
          acknowledgements: sync.acknowledgements,
        },
      },
      { put: keys.history(epoch), value: entry },
      ...(view.release ? [{ delete: keys.release }] : []),
    ],
  });
}

/** Nothing that the claim was decided from has changed: epoch, sync set, leader (F2). */
function claimComparisons(view: ClusterView): Txn['compare'] {
  return [
    { key: keys.epoch, is: 'value', value: String(view.epoch) },
    { key: keys.sync, is: 'modRevision', modRevision: view.sync?.modRevision ?? 0 },
    view.leader
      ? { key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision }
      : { key: keys.leader, is: 'absent' },
  ];
}

// ---- following -------------------------------------------------------------------------------------------------------

function followLeader(state: Known, leader: Leader): Decision {
  const { view, database, self } = state;
  if (state.ending) return wait('ending');
  const primary = view.members.get(leader.instance);
  switch (database.status) {
    case 'unknown':
      return wait('looking at the data directory');
    case 'primary':
      return wait('waiting to be fenced');
    case 'absent':
    case 'broken':
      return replaceData(state, primary, { type: 'clone' });
    case 'stopped':
      if (database.systemIdentifier !== view.initialize?.systemIdentifier)
        return state.vow === 0
          ? replaceData(state, primary, { type: 'clone' })
          : wait('blocked: the data on this volume belongs to another cluster');
      if (!database.needsPrimary) return act(state, 'starting the database', { type: 'start' });
      if (primary?.role !== 'primary') return wait('rewound, and waiting for a primary to start from');
      if (state.vow < view.epoch) return vow(state, view.epoch);
      return act(state, `starting from ${primary.instance}`, { type: 'start', from: { epoch: view.epoch, primary } });
    case 'replica':
      break;
  }
  if (state.vow < view.epoch) return vow(state, view.epoch);
  if (database.diverged?.epoch === view.epoch) return replaceData(state, primary, { type: database.diverged.remedy });
  if (!primary) return wait(`waiting for ${leader.instance} to announce its address`);
  const { following } = database;
  if (
    following?.epoch === view.epoch &&
    following.instance === leader.instance &&
    following.address === primary.address
  )
    return wait(`following ${leader.instance}`);
  if (self.instance === leader.instance) return wait('leading');
  return act(state, `following ${leader.instance} in epoch ${view.epoch}`, {
    type: 'follow',
    epoch: view.epoch,
    primary,
    history: view.history.get(view.epoch),
  });
}

/** Rewind and clone destroy the log that is there: never while an acknowledgement may rest on it (rule 11). */
function replaceData(state: Known, primary: Member | undefined, how: { readonly type: 'rewind' | 'clone' }): Decision {
  const { view } = state;
  const sync = view.sync?.value;
  const counted = sync && [sync.primary, ...sync.members].some((member) => sameVoter(member, voter(state)));
  if (counted !== false) return wait('waiting to leave the sync set before the data is replaced');
  // One that is not open yet may be waiting for this very copy.
  if (primary?.role !== 'primary') return wait('waiting for a primary to copy from');
  // A primary that saw this instance stream a moment ago may be about to count it. Rewriting `sync` makes that write fail,
  // and the state told with it keeps the next one from being made.
  const mine = view.members.get(state.self.instance);
  const destroys = state.database.status !== 'absent';
  if (destroys && (state.retired?.epoch !== view.epoch || !state.retired.settled)) {
    if (!mine || !view.sync) return wait('waiting to be listed before the data is replaced');
    return transact(state, 'telling that the data will be replaced', 'retire', {
      compare: [
        { key: keys.epoch, is: 'value', value: String(view.epoch) },
        { key: keys.sync, is: 'modRevision', modRevision: view.sync.modRevision },
      ],
      writes: [
        { put: keys.sync, value: view.sync.value },
        { put: keys.member(mine.instance), value: { ...mine, ...voter(state), state: 'diverged' }, leased: true },
      ],
    });
  }
  return how.type === 'clone'
    ? act(state, `cloning from ${primary.instance}`, { type: 'clone', primary })
    : act(state, `rewinding to ${primary.instance}`, { type: 'rewind', epoch: view.epoch, primary });
}

// ---- building decisions ----------------------------------------------------------------------------------------------

const voter = (state: HaState): { instance: string; incarnation: string } => ({
  instance: state.self.instance,
  incarnation: state.self.incarnation,
});

const leadership = (state: HaState, epoch: number): Leader => ({ ...voter(state), epoch, lease: state.lease ?? '' });

const isProven = (state: Known): boolean =>
  state.proven !== undefined && state.proven.epoch === state.view.epoch && state.now < state.proven.until;

const wait = (because: string): Decision => ({ effects: [], because });
const now = (because: string, effect: Effect): Decision => ({ effects: [effect], because });

const held = (state: HaState, key: DatabaseEffect['type'] | TxnPurpose): boolean =>
  state.now < (state.backOff.get(key) ?? 0);

function act(state: HaState, because: string, effect: DatabaseEffect): Decision {
  return state.inFlight.database !== undefined || held(state, effect.type) ? wait(because) : now(because, effect);
}

function transact(state: HaState, because: string, purpose: TxnPurpose, txn: Txn): Decision {
  const leased = txn.writes.some((write) => 'leased' in write && write.leased);
  if (state.inFlight.dcs !== undefined || held(state, purpose) || (leased && !state.lease)) return wait(because);
  return now(because, { type: 'txn', purpose, txn });
}

function vow(state: HaState, epoch: number): Decision {
  const because = `vowing never to receive from an epoch before ${epoch}`;
  // One that is just turning to a former primary would begin to receive from it after the vow.
  const turning = state.inFlight.database === 'follow' || state.inFlight.database === 'start';
  return state.inFlight.disk || turning ? wait(because) : now(because, { type: 'write-vow', epoch });
}

function revoke(state: HaState, lease: string): Decision {
  const because = 'revoking the lease of this instance’s former life';
  return state.inFlight.dcs !== undefined ? wait(because) : now(because, { type: 'revoke-lease', lease });
}
