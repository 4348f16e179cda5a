/** Deliberate bugs: what the judge must catch, or it proves nothing. Each names the finding whose rule it breaks. */
import { keys, type PromiseRecord, type SyncState } from '../api/cluster-state.ts';
import { notAbove, parseLsn } from '../ha/position.ts';
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
    | 'renews-while-giving-up'
    | 'stamps-of-former-lives'
    | 'pledge-from-receipt';
}

const preferred: Shape = {
  instances: ['a', 'b', 'c'],
  durability: { mode: 'Preferred', acknowledgements: 1 },
};

export const bugs: readonly Bug[] = [
  {
    name: 'claim-without-quorum',
    breaks: 'F1: the leader’s absence is enough',
    view: (view, state) => (view.leader ? view : withPromises(view, state, (sync) => sync.members.length)),
  },
  {
    name: 'one-promise-too-few',
    breaks: 'rule 5: |S| − k promises',
    view: (view, state) => withPromises(view, state, () => 1),
  },
  {
    name: 'claim-without-comparing-anything',
    breaks: 'rule 1: the epoch is the arbiter',
    effects: onTxn('claim', (txn) => ({ ...txn, compare: [] })),
  },
  {
    name: 'sync-after-claim-is-who-promised',
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
        parseLsn(theirs.lsn) <= parseLsn(own.lsn)
          ? { ...theirs, epoch: own.epoch }
          : { ...theirs, epoch: own.epoch + 1 },
      ),
  },
  {
    name: 'no-marker',
    faults: ['partition', 'pause', 'database-crash', 'container-death'],
    breaks: 'F7: no record of the epoch itself',
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
];

// ---- how they are made -------------------------------------------------------------------------------------------------

/** Promises of the next epoch by members that have given none, at this instance's own position. */
function withPromises(view: ClusterView, state: HaState, howMany: (sync: SyncState) => number): ClusterView {
  const own = view.promises.get(state.self.instance)?.value;
  const sync = view.sync?.value;
  if (!sync || own?.epoch !== view.epoch + 1) return view;
  const promises = new Map(view.promises);
  const silent = sync.members.filter((m) => promises.get(m.instance)?.value.epoch !== own.epoch);
  for (const member of silent.slice(0, howMany(sync)))
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

function onTxn(purpose: 'claim', change: (txn: Txn) => Txn): NonNullable<Bug['effects']> {
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

function ownTimeline({ view, self, database }: HaState): number {
  const epoch = view?.promises.get(self.instance)?.value.position.epoch ?? 0;
  return view?.history.get(epoch)?.timeline ?? (database.status === 'replica' ? database.highestTimeline : 1);
}
