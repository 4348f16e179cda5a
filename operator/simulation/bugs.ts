/** Deliberate bugs: what the judge must catch, or it proves nothing. Each names the finding whose rule it breaks. */
import { keys, type HistoryEntry, type PromiseRecord, type SyncState, type Voter } from '../api/cluster-state.ts';
import { compareLengths, notAbove } from '../ha/position.ts';
import { judgeTakeover, sameVoter } from '../ha/takeover.ts';
import type { Effect, Event, HaState, Settings, Txn } from '../ha/state.ts';
import type { ClusterView, Versioned } from '../ha/view.ts';
import type { FaultKind } from './faults.ts';
import type { Scheduled, Shape } from './simulate.ts';

export interface Bug {
  readonly name: string;
  /** Of model/findings.md, or the rule of DESIGN §5. */
  readonly breaks: string;
  /** The world in which it shows soonest; by chance if absent. */
  readonly shape?: Shape;
  readonly faults?: readonly FaultKind[];
  /** In place of chance, where it would take too long. */
  readonly schedule?: readonly Scheduled[];
  readonly settings?: Partial<Settings>;
  /** The primary of this epoch dies as soon as it has let clients in. */
  readonly diesOpening?: number;
  /** What it must be caught by, where others are side effects. */
  readonly shows?: RegExp;
  /** What the instance takes etcd to hold. */
  view?(view: ClusterView, state: HaState): ClusterView;
  event?(event: Event, state: HaState): Event;
  state?(after: HaState, before: HaState, event: Event): HaState;
  effects?(effects: readonly Effect[], state: HaState): readonly Effect[];
  /** A part that the model, not operator/ha, carries out. */
  readonly model?:
    | 'no-seal'
    | 'vow-not-durable'
    | 'no-marker'
    | 'opens-at-once'
    | 'no-read-back'
    | 'no-barrier'
    | 'position-by-replay'
    | 'released-before-dead'
    | 'blind-retry'
    | 'keepalive-proves'
    | 'no-deadman'
    | 'wall-clock'
    | 'removed-while-counted'
    | 'begins-anew-unasked'
    | 'renews-while-giving-up'
    | 'stamps-of-former-lives'
    | 'pledge-from-receipt'
    | 'resumes'
    | 'upgraded-data-kept';
}

const preferred: Shape = {
  instances: ['a', 'b', 'c'],
  durability: { mode: 'Preferred', acknowledgements: 1 },
};

const strict = (size: number, acknowledgements: number): Shape => ({
  instances: ['a', 'b', 'c', 'd'].slice(0, size),
  durability: { mode: 'Strict', acknowledgements },
});

const follower = { priority: 0, noFailover: true, noSync: false };

/** By its effect on writes, not by what else it breaks. */
const lost = /without write|is not in the log|is acknowledged, held by/;

/** etcd is out for all, and stays so for the primary: for a while it serves on the word of its replicas. */
const cutOffAfterOutage: readonly Scheduled[] = [
  { at: 0, kind: 'etcd-outage', on: 'primary', milliseconds: 6000, form: 0 },
  { at: 0, kind: 'partition', on: 'primary', milliseconds: 20_000, form: 0.35 / 3 },
];

export const bugs: readonly Bug[] = [
  {
    name: 'claim-without-quorum',
    breaks: 'F1: the leader’s absence is enough',
    view: (view, state) => (view.leader ? view : withPromises(view, state, (silent) => silent)),
  },
  {
    name: 'one-promise-too-few',
    breaks: 'rule 5: |S| − k promises',
    view: (view, state) => withPromises(view, state, (silent) => silent.slice(0, 1)),
  },
  {
    name: 'claim-without-comparing-anything',
    breaks: 'rule 1: the epoch is the arbiter',
    effects: onTxn('claim', (txn) => ({ ...txn, compare: [] })),
  },
  {
    name: 'sync-after-claim-is-who-promised',
    shape: strict(4, 1),
    faults: ['bad-link', 'container-death', 'database-crash', 'pause'],
    breaks: 'F3: members that are silent stay until the barrier',
    effects: (effects, state) =>
      onTxn('claim', (txn) => ({
        ...txn,
        writes: txn.writes.map((write) => {
          if (!('put' in write) || write.put !== keys.sync) return write;
          const sync = write.value as SyncState;
          const promised = (instance: string): boolean =>
            state.view?.promises.get(instance)?.value.epoch === sync.epoch;
          return { ...write, value: { ...sync, members: sync.members.filter((m) => promised(m.instance)) } };
        }),
      }))(effects, state),
  },
  {
    name: 'unknown-sync-settled-by-reading',
    breaks: 'F4: the late write lands after the set was changed back',
    faults: ['late-transactions', 'partition', 'container-death', 'database-crash', 'slow-network'],
    event: (event) =>
      event.type === 'txn-ended' && event.purpose === 'sync' && event.outcome === 'unknown'
        ? { ...event, outcome: 'refused' }
        : event,
  },
  {
    name: 'promise-taken-back-when-unknown',
    breaks: 'F4: a promise of unknown outcome may still land',
    faults: ['late-transactions', 'lost-answers', 'partition', 'container-death', 'pause', 'slow-network'],
    state: (after, before, event) =>
      event.type === 'txn-ended' && event.purpose === 'promise' && event.outcome === 'unknown'
        ? { ...after, vow: Math.min(before.vow, before.view?.epoch ?? 0), lostPrimaryOf: undefined }
        : after,
  },
  {
    name: 'acknowledgements-lowered-in-the-database-first',
    breaks: 'F5: k the other way round than S',
    shape: preferred,
    effects: (effects, state) =>
      alsoInDatabase(effects, state, (to, from) => to.acknowledgements < from.acknowledgements),
  },
  {
    name: 'acknowledgements-raised-in-etcd-first',
    breaks: 'F5: k the other way round than S',
    shape: preferred,
    effects: (effects, state) => firstInEtcd(effects, state, (to, from) => to.acknowledgements > from.acknowledgements),
  },
  {
    name: 'anybody-claims-from-an-empty-set',
    breaks: 'F5: with k = 0 only the recorded primary holds all',
    shape: preferred,
    view: (view) =>
      view.definition && view.sync?.value.acknowledgements === 0
        ? { ...view, definition: { ...view.definition, durability: { mode: 'Async', acknowledgements: 0 } } }
        : view,
  },
  {
    name: 'promise-counted-above-own-position',
    breaks: 'F6: the better log may hold what the candidate lacks',
    view: (view, state) => withPositions(view, state, (theirs, own) => (notAbove(theirs, own) ? theirs : own)),
  },
  {
    name: 'position-by-lsn-only',
    breaks: 'F7: the tail of an old epoch beats a newer log',
    faults: ['partition', 'pause', 'database-crash', 'container-death'],
    view: (view, state) =>
      withPositions(view, state, (theirs, own) =>
        compareLengths({ ...theirs, epoch: 0 }, { ...own, epoch: 0 }) <= 0
          ? { ...theirs, epoch: own.epoch }
          : { ...theirs, epoch: own.epoch + 1 },
      ),
  },
  {
    name: 'no-marker',
    breaks: 'F7: no record of the epoch itself',
    shows: lost,
    shape: strict(3, 1),
    // Writes that only the first primary has; one that only the second has; the first, back, is followed, and dies at once.
    schedule: [
      { at: 0, kind: 'disk-stall', on: 'replica', milliseconds: 1500, form: 0 },
      { at: 0, kind: 'disk-stall', on: 'other replica', milliseconds: 1500, form: 0 },
      { at: 600, kind: 'container-death', on: 'primary', milliseconds: 2200, form: 0 },
      { at: 1700, kind: 'disk-stall', on: 'c', milliseconds: 2500, form: 0 },
      { at: 2600, kind: 'container-death', on: 'primary', milliseconds: 6000, form: 0 },
    ],
    diesOpening: 3,
    model: 'no-marker',
  },
  {
    name: 'timeline-reused',
    faults: ['partition', 'pause', 'database-crash', 'container-death'],
    breaks: 'F7: one timeline for two epochs',
    effects: (effects, state) =>
      onTxn('claim', (txn) => ({
        ...txn,
        writes: txn.writes.map((write) => {
          if (!('put' in write) || !write.put.startsWith('history/')) return write;
          const value = write.value as { readonly timeline: number };
          return { ...write, value: { ...value, timeline: ownTimeline(state) + 1 } };
        }),
      }))(effects, state),
  },
  {
    name: 'data-replaced-while-counted',
    breaks: 'F8: a log in S may shrink',
    view: (view, state) => {
      const { database } = state;
      const useless =
        database.status === 'absent' || (database.status === 'replica' && database.diverged !== undefined);
      if (!view.sync || !useless) return view;
      const value = view.sync.value;
      return {
        ...view,
        sync: {
          ...view.sync,
          value: { ...value, members: value.members.filter((m) => m.instance !== state.self.instance) },
        },
      };
    },
  },
  { name: 'no-seal', breaks: 'rule 4: promises of a position that still moves', model: 'no-seal' },
  {
    name: 'vow-not-durable',
    breaks: 'rule 4: a vow that a restart forgets',
    faults: ['container-death', 'lost-answers', 'slow-network', 'partition'],
    model: 'vow-not-durable',
  },
  {
    name: 'narrowed-in-etcd-first',
    breaks: 'rule 6: the leaver still acknowledges',
    effects: (effects, state) => firstInEtcd(effects, state, (to, from) => to.members.length < from.members.length),
  },
  {
    name: 'widened-in-the-database-first',
    breaks: 'rule 6: a stranger acknowledges',
    effects: (effects, state) => alsoInDatabase(effects, state, (to, from) => to.members.length > from.members.length),
  },
  {
    name: 'no-barrier',
    faults: ['partition', 'pause', 'container-death', 'slow-network'],
    breaks: 'rule 6, F3: those who remain may lack what the leaver acknowledged',
    model: 'no-barrier',
  },
  {
    name: 'no-read-back',
    breaks: 'F13: a reload is not in effect until every walsender has read it',
    model: 'no-read-back',
  },
  {
    name: 'opens-at-once',
    faults: ['partition', 'pause', 'container-death', 'slow-network'],
    breaks: 'F12: clients read what the next primary lacks',
    model: 'opens-at-once',
  },
  {
    name: 'no-fence',
    breaks: 'rule 2: a primary that cannot prove its lease serves on',
    faults: ['partition', 'slow-network', 'switchover'],
    effects: (effects) => effects.filter((effect) => effect.type !== 'kill'),
  },
  {
    name: 'no-margin',
    breaks: 'rule 2: the lease ends before the database is dead',
    faults: ['partition'],
    settings: { margin: -500 },
  },
  {
    name: 'claim-without-comparing-sync',
    breaks:
      'F2: the quorum was counted from another sync set (the primary does not see that it is voted out, or rule 13 would hide it)',
    shows: lost,
    shape: strict(3, 1),
    schedule: [
      { at: 0, kind: 'pause', on: 'other replica', milliseconds: 6200, form: 0 },
      { at: 3500, kind: 'bad-link', on: 'replica', milliseconds: 20_000, form: 0 },
      { at: 5700, kind: 'late-transactions', on: 'primary', milliseconds: 3000, form: 0.9 },
    ],
    view: (view, { database }) =>
      database.status === 'primary'
        ? {
            ...view,
            promises: new Map(),
            members: new Map([...view.members].map(([name, member]) => [name, { ...member, vow: 0 }])),
          }
        : view,
    effects: onTxn('claim', (txn) => ({ ...txn, compare: txn.compare.filter(({ key }) => key !== keys.sync) })),
  },
  {
    name: 'etcd-restored-unnoticed',
    breaks: 'F9: promises and sync sets of the past count again',
    shows: /restored etcd|without write|is not in the log|against its word|after its word/,
    faults: ['etcd-restored', 'partition', 'container-death', 'switchover'],
    view: (view) =>
      view.initialize ? { ...view, initialize: { ...view.initialize, etcdClusterId: view.etcdClusterId } } : view,
    state: (after) => (after.seen.rewound ? { ...after, seen: { ...after.seen, rewound: false } } : after),
  },
  {
    name: 'recorded-primary-not-counted',
    breaks: 'F11: nobody may lead, although the one who holds everything is back',
    shape: strict(3, 1),
    faults: ['instance-lost', 'container-death'],
    effects: (effects, { view, self }) =>
      effects.filter(
        (effect) =>
          effect.type !== 'txn' || effect.purpose !== 'claim' || !view || byRecordedPrimaryOnly(view, self.instance),
      ),
  },
  {
    name: 'keepalive-proves-leadership',
    breaks: 'F14: a deposed primary whose watch is dead stays open for ever',
    faults: ['bad-link', 'lost-watch'],
    model: 'keepalive-proves',
  },
  {
    name: 'async-claims-at-once',
    breaks: 'F15: the key vanished, its holder serves on',
    shape: { instances: ['a', 'b', 'c'], durability: { mode: 'Async', acknowledgements: 1 } },
    faults: ['lease-revoked', 'slow-network', 'partition'],
    state: (after) =>
      after.leaderGoneSince ? { ...after, leaderGoneSince: { ...after.leaderGoneSince, at: -60_000 } } : after,
  },
  {
    name: 'released-before-dead',
    breaks: 'F15, rule 12: leadership is given up while a process can still acknowledge',
    shape: { instances: ['a', 'b', 'c'], durability: { mode: 'Async', acknowledgements: 1 } },
    faults: ['switchover', 'termination'],
    model: 'released-before-dead',
  },
  {
    name: 'seals-without-asking',
    breaks: 'F16: one replica with a bad link raises epochs in a storm',
    shape: strict(3, 1),
    faults: ['bad-link'],
    view: withEverybodyAlarmed,
    // Its patience after false alarms would hide it.
    state: (after) => ({ ...after, falseAlarms: [] }),
  },
  {
    name: 'no-patience-after-false-alarms',
    breaks: 'F16, rule 13: where one promise is a quorum, a bad link raises epochs in a storm',
    shape: strict(2, 1),
    faults: ['bad-link'],
    state: (after) => ({ ...after, falseAlarms: [] }),
  },
  {
    name: 'switchover-forgets-its-candidate',
    breaks: 'F17: a bystander takes the place',
    faults: ['switchover'],
    view: (view) => (view.release ? { ...view, release: { ...view.release, candidate: undefined } } : view),
  },
  {
    name: 'promises-against-its-word',
    breaks: 'F18, rule 9: a pledge is not kept',
    shape: strict(3, 1),
    schedule: cutOffAfterOutage,
    state: (after) => (after.pledged ? { ...after, pledged: undefined, startedAt: -60_000 } : after),
  },
  {
    name: 'word-forgotten-by-a-restart',
    breaks: 'F18, rule 9: what a former life gave its word for',
    shape: strict(3, 1),
    schedule: [...cutOffAfterOutage, { at: 5800, kind: 'container-death', on: 'replica', milliseconds: 100, form: 0 }],
    state: (after) => ({ ...after, startedAt: -60_000 }),
  },
  {
    name: 'pledges-with-nobody-needed',
    breaks: 'F5, rule 9: with k = 0 anybody’s word is worth nothing',
    shape: { instances: ['a', 'b', 'c'], durability: { mode: 'Async', acknowledgements: 1 } },
    schedule: cutOffAfterOutage,
    state: (after) => {
      const { view, pledges, database } = after;
      if (database.status !== 'primary' || view?.sync?.value.acknowledgements !== 0 || pledges.size === 0) return after;
      const until = Math.max(...[...pledges.values()].map((pledge) => pledge.until));
      return until > (after.proven?.until ?? 0) ? { ...after, proven: { epoch: view.epoch, until } } : after;
    },
  },
  {
    name: 'pledge-counted-from-receipt',
    breaks: 'rule 9: the word was given earlier than it arrives',
    faults: ['etcd-outage', 'slow-network', 'partition', 'pause'],
    settings: { margin: 50 },
    model: 'pledge-from-receipt',
  },
  {
    name: 'no-time-to-answer',
    breaks: 'F20: of two instances, one takes over from the other, which lives',
    shape: strict(2, 1),
    faults: ['bad-link'],
    state: (after) => (after.quorumSince ? { ...after, quorumSince: { ...after.quorumSince, at: -60_000 } } : after),
  },

  {
    name: 'election-by-replay',
    breaks: 'rule 4: what is flushed and not replayed yet was acknowledged',
    shows: lost,
    shape: strict(3, 1),
    faults: ['bad-link', 'container-death', 'slow-network', 'partition', 'database-hang'],
    model: 'position-by-replay',
  },
  {
    name: 'blind-retry',
    breaks: 'rule 1: a transaction of unknown outcome is sent again as it is',
    faults: ['lost-answers', 'late-transactions', 'partition', 'container-death'],
    model: 'blind-retry',
  },
  {
    name: 'lease-by-wall-clock',
    breaks: 'rule 2: the wall clock jumps',
    faults: ['clock-jump', 'partition'],
    model: 'wall-clock',
  },
  {
    name: 'no-deadman',
    breaks: 'rule 3: an agent that stands still leaves its primary alive',
    faults: ['agent-stall'],
    model: 'no-deadman',
  },
  {
    name: 'renews-while-giving-up',
    breaks: 'rule 10: a database that cannot be killed keeps its lease',
    shape: { instances: ['a', 'b', 'c'], durability: { mode: 'Async', acknowledgements: 1 } },
    schedule: [{ at: 0, kind: 'disk-stall', on: 'primary', milliseconds: 40_000, form: 0 }],
    model: 'renews-while-giving-up',
  },
  {
    name: 'volume-removed-while-counted',
    breaks: 'rule 11, I3: the operator deletes a volume of the sync set',
    faults: ['scale', 'container-death'],
    model: 'removed-while-counted',
  },
  {
    name: 'volume-replaced-while-counted',
    breaks: 'rule 11, I3: the operator gives a member of the sync set another volume',
    faults: ['another-volume', 'container-death'],
    model: 'removed-while-counted',
  },
  {
    name: 'begins-anew-while-nobody-serves',
    breaks: 'I1: a volume that is gone with its node is replaced while it may hold what nobody else has',
    faults: ['node-gone', 'container-death'],
    model: 'begins-anew-unasked',
  },
  {
    name: 'adopted-in-the-epoch-of-the-snapshot',
    breaks: 'F9: an adoption that does not begin above all that was promised',
    faults: ['etcd-restored', 'switchover', 'container-death', 'partition'],
    effects: (effects, { view }) =>
      effects.map((effect): Effect => {
        if (effect.type !== 'txn' || effect.purpose !== 'adopt' || !view) return effect;
        const epoch = view.epoch + 1;
        const writes = effect.txn.writes.flatMap((write): Txn['writes'] => {
          if (!('put' in write)) return [write];
          if (write.put === keys.epoch) return [{ ...write, value: epoch }];
          if (write.put === keys.sync) return [{ ...write, value: { ...(write.value as SyncState), epoch } }];
          const entry = write.put.startsWith('history/') ? (write.value as HistoryEntry) : undefined;
          return entry ? [{ put: keys.history(epoch), value: { ...entry, epoch } }] : [write];
        });
        return { ...effect, txn: { ...effect.txn, writes } };
      }),
  },
  {
    name: 'adopted-with-the-old-sync-set',
    breaks: 'F9: members counted that may lack what was acknowledged since the snapshot',
    faults: ['etcd-restored', 'partition', 'container-death', 'instance-lost', 'disk-stall'],
    effects: (effects, { view }) =>
      effects.map((effect): Effect => {
        if (effect.type !== 'txn' || effect.purpose !== 'adopt' || !view?.sync) return effect;
        const { members, primary, acknowledgements } = view.sync.value;
        const writes = effect.txn.writes.map((write) => {
          if (!('put' in write) || write.put !== keys.sync) return write;
          const to = write.value as SyncState;
          const others = [...members, primary].filter((member) => member.instance !== to.primary.instance);
          return { ...write, value: { ...to, members: others, acknowledgements: Math.max(1, acknowledgements) } };
        });
        return { ...effect, txn: { ...effect.txn, writes } };
      }),
  },
  {
    name: 'forced-without-acceptance',
    breaks: 'rule 14: a failover that may lose writes, though nobody has accepted that',
    shape: strict(4, 1),
    schedule: [
      { at: 0, kind: 'instance-lost', on: 'replica', milliseconds: 0, form: 0 },
      { at: 0, kind: 'instance-lost', on: 'primary', milliseconds: 0, form: 0 },
    ],
    view: (view) =>
      view.failover
        ? {
            ...view,
            failover: { ...view.failover, value: { ...view.failover.value, acceptDataLoss: true, fenced: true } },
          }
        : view,
  },
  {
    name: 'resumes-after-a-restart',
    breaks: 'rule 8, F12: a restarted primary goes on in its epoch, and shows what nobody else holds',
    shape: strict(3, 1),
    faults: ['restart', 'partition', 'container-death', 'slow-network'],
    model: 'resumes',
  },
  {
    name: 'fenced-member-counted-as-promised',
    breaks: 'rule 5: who is kept stopped by a person may hold what the candidate lacks',
    shape: strict(3, 1),
    faults: ['fenced', 'container-death', 'slow-network', 'partition'],
    view: (view, state) =>
      withPromises(view, state, (silent) => silent.filter(({ instance }) => view.fences.has(instance))),
  },
  {
    name: 'changes-over-without-comparing',
    breaks: 'rule 1: somebody else has led while the new version’s data were made',
    shape: strict(3, 1),
    faults: ['upgrade', 'partition', 'pause', 'late-transactions'],
    effects: onTxn('upgrade', (txn) => ({ ...txn, compare: [] })),
  },
  {
    name: 'upgraded-data-kept',
    breaks: 'the new version’s data were made before the last start of the old one’s',
    // The same one leads again.
    shape: { ...strict(3, 1), tags: { b: follower, c: follower } },
    schedule: [
      { at: 0, kind: 'upgrade', on: 'a', milliseconds: 60_000, form: 0.9 },
      { at: 2500, kind: 'partition', on: 'a', milliseconds: 9000, form: 0.35 / 3 },
    ],
    model: 'upgraded-data-kept',
  },
  {
    name: 'replaces-its-data-on-its-first-word',
    breaks: 'rule 11: a late word of before makes it count again',
    shows: /replaces its data while/,
    shape: strict(3, 1),
    faults: ['reinitialize', 'late-transactions'],
    state: (after) =>
      after.retired ? { ...after, retired: { ...after.retired, since: after.retired.at - 60_000 } } : after,
  },
];

// ---- how they are made -------------------------------------------------------------------------------------------------

/** Whoever has lost the primary takes everybody to have lost it. */
function withEverybodyAlarmed(view: ClusterView, state: HaState): ClusterView {
  if (state.lostPrimaryOf !== view.epoch) return view;
  const alarmed = [...view.members].map(([name, member]) => [name, { ...member, lostPrimaryOf: view.epoch }] as const);
  return { ...view, members: new Map(alarmed) };
}

/** Promises of the next epoch by members that have given none, at this instance's own position. */
function withPromises(
  view: ClusterView,
  state: HaState,
  whose: (silent: readonly Voter[]) => readonly Voter[],
): ClusterView {
  const own = view.promises.get(state.self.instance)?.value;
  const sync = view.sync?.value;
  if (!sync || own?.epoch !== view.epoch + 1) return view;
  const promises = new Map(view.promises);
  const silent = sync.members.filter((m) => promises.get(m.instance)?.value.epoch !== own.epoch);
  for (const member of whose(silent))
    promises.set(member.instance, { value: { ...own, ...member }, modRevision: 0, lease: '0' });
  return { ...view, promises };
}

function withPositions(
  view: ClusterView,
  state: HaState,
  change: (theirs: PromiseRecord['position'], own: PromiseRecord['position']) => PromiseRecord['position'],
): ClusterView {
  const own = view.promises.get(state.self.instance)?.value;
  if (!own) return view;
  const changed = ([instance, promise]: [string, Versioned<PromiseRecord>]): [string, Versioned<PromiseRecord>] => [
    instance,
    instance === own.instance
      ? promise
      : { ...promise, value: { ...promise.value, position: change(promise.value.position, own.position) } },
  ];
  return { ...view, promises: new Map([...view.promises].map(changed)) };
}

function onTxn(purpose: 'claim' | 'upgrade', change: (txn: Txn) => Txn): NonNullable<Bug['effects']> {
  return (effects) =>
    effects.map((effect) =>
      effect.type === 'txn' && effect.purpose === purpose ? { ...effect, txn: change(effect.txn) } : effect,
    );
}

type Size = Pick<SyncState, 'members' | 'acknowledgements'>;

/** A change of the database's sync set is recorded in etcd before it is made. */
function firstInEtcd(
  effects: readonly Effect[],
  { view, database }: HaState,
  which: (to: Size, from: Size) => boolean,
): readonly Effect[] {
  return effects.flatMap((effect): readonly Effect[] => {
    const applied = database.status === 'primary' ? database.applied : undefined;
    if (effect.type !== 'configure-sync' || !view?.sync || !applied || !which(effect.to, applied)) return [effect];
    const txn: Txn = {
      compare: [{ key: keys.sync, is: 'modRevision', modRevision: view.sync.modRevision }],
      writes: [{ put: keys.sync, value: { ...view.sync.value, ...effect.to } }],
    };
    return [{ type: 'txn', purpose: 'sync', txn }, effect];
  });
}

/** A change of the sync set in etcd is made in the database at the same time. */
function alsoInDatabase(
  effects: readonly Effect[],
  { view, inFlight }: HaState,
  which: (to: Size, from: Size) => boolean,
): readonly Effect[] {
  return effects.flatMap((effect): readonly Effect[] => {
    if (effect.type !== 'txn' || effect.purpose !== 'sync' || !view?.sync || inFlight.database) return [effect];
    const written = effect.txn.writes.find((write) => 'put' in write && write.put === keys.sync);
    const to = written && 'value' in written ? (written.value as SyncState) : undefined;
    if (!to || !which(to, view.sync.value)) return [effect];
    const { members, acknowledgements } = to;
    return [{ type: 'configure-sync', to: { members, acknowledgements }, barrier: false }, effect];
  });
}

/** The claim rests on more than the word of the recorded primary. */
function byRecordedPrimaryOnly(view: ClusterView, candidate: string): boolean {
  const primary = view.sync?.value.primary;
  const promises = new Map([...view.promises].filter(([, { value }]) => !primary || !sameVoter(value, primary)));
  return judgeTakeover({ ...view, promises }, candidate).verdict === 'allowed';
}

function ownTimeline({ view, self, database }: HaState): number {
  const epoch = view?.promises.get(self.instance)?.value.position.epoch ?? 0;
  return view?.history.get(epoch)?.timeline ?? (database.status === 'replica' ? database.highestTimeline : 1);
}
