/**
 * etcd as the protocol meets it: one history of revisions, transactions with comparisons, leases, linearizable reads and
 * watches; and its faults: answers that never come, transactions that land after their deadline, leaderless moments after
 * which every lease lives its whole TTL again, watches that fall silent, transactions carried out twice, a restored snapshot.
 */
import {
  keys,
  type AdoptionRecord,
  type Definition,
  type HistoryEntry,
  type Member,
  type PromiseRecord,
  type Fence,
  type ReinitializeRequest,
  type RestartRequest,
} from '../api/cluster-state.ts';
import type { Txn } from '../ha/state.ts';
import type { ClusterView, Versioned } from '../ha/view.ts';
import { until, type Activity, type Host } from './host.ts';
import type { Connection, Network } from './network.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

export const etcdNode = 'etcd';

/** `refused`: certainly not applied. `unknown`: applied, or not, or later. */
export type Answer<T> = { readonly value: T } | { readonly failed: 'refused' | 'unknown' };

export interface Watch {
  /** Since when the stream has told nothing more, on the world's clock. */
  brokenAt: number | undefined;
  readonly connection: Connection;
  readonly onView: (view: ClusterView) => void;
  readonly who: Caller;
  /** Of its host: what is under way to a former one is lost. */
  readonly life: number;
}

export interface Caller {
  readonly name: string;
  readonly host: Host;
}

export interface Etcd {
  /** The truth, now. */
  readonly view: () => ClusterView;
  readonly read: (who: Caller, milliseconds?: number) => Activity<Answer<ClusterView>>;
  readonly txn: (who: Caller, txn: Txn, lease: string | undefined) => Activity<Answer<boolean>>;
  readonly grant: (who: Caller, ttl: number) => Activity<Answer<string>>;
  /** True while the lease lives. */
  readonly keepAlive: (who: Caller, lease: string) => Activity<Answer<boolean>>;
  readonly revoke: (who: Caller, lease: string) => Activity<Answer<boolean>>;
  /** Changes after the revision given. */
  readonly watch: (who: Caller, fromRevision: number, onView: (view: ClusterView) => void) => Watch;
  /** A write by the operator, which meets no faults here. */
  readonly put: (key: string, value: unknown) => void;
  readonly delete: (key: string) => void;
  /** No leader for a while; then leases begin anew. */
  readonly losesLeader: (milliseconds: number) => void;
  readonly breakWatches: (silently: boolean) => void;
  /** Reaches nobody, and nobody reaches it. */
  readonly outage: (milliseconds: number) => void;
  /** Older revisions are forgotten: a watch that lags is cancelled. */
  readonly compact: () => void;
  /** Somebody ends a lease that lives. */
  readonly endLease: (lease: string) => void;
  /** Returns what restores etcd to this moment, as another cluster of etcd. */
  readonly snapshot: () => (how: 'another' | 'same' | 'empty') => void;
  /** No fault of its own, and a leader, since then. */
  readonly wellSince: () => number;
  readonly faults: { answersLost: number; landsLate: number; duplicated: number; slow: number };
  readonly recover: () => void;
}

export interface EtcdListener {
  /** `informed`: whoever wrote it knew when sending that etcd is a restored one. */
  readonly committed: (view: ClusterView, informed: boolean) => void;
  readonly knowsOfRestore: (who: string) => boolean;
  readonly restored: (view: ClusterView, sameId: boolean) => void;
  readonly leaderExpired: (instance: string, lease: string) => void;
}

interface Entry {
  readonly value: unknown;
  readonly modRevision: number;
  readonly lease: string;
}

const deadline = 1000;

export function createEtcd(time: VirtualTime, network: Network, random: Random, listener: EtcdListener): Etcd {
  const entries = new Map<string, Entry>();
  const leases = new Map<string, { readonly ttl: number; expiresAt: number }>();
  const watches = new Set<Watch>();
  const faults = { answersLost: 0, landsLate: 0, duplicated: 0, slow: 0 };
  let revision = 1;
  let granted = 0;
  let leaderlessUntil = 0;
  /** What was sent before may arrive until then, long after the fault that holds it up has ended. */
  let heldUpUntil = 0;
  let outUntil = 0;
  let queue: (() => void)[] = [];
  let compactedTo = 0;
  /** What it calls itself. */
  let cluster = 1;
  /** Counts restores. */
  let life = 1;
  let view = viewOf(entries, revision, cluster);

  // ---- history -----------------------------------------------------------------------------------------------------

  function commit(writes: Txn['writes'], lease: string | undefined, informed = false): void {
    revision++;
    for (const write of writes)
      if ('delete' in write) entries.delete(write.delete);
      else
        entries.set(write.put, {
          value: write.value,
          modRevision: revision,
          lease: write.leased ? (lease ?? '') : '0',
        });
    const now = (view = viewOf(entries, revision, cluster));
    listener.committed(now, informed);
    for (const watch of watches) tell(watch, now);
  }

  function holds(compare: Txn['compare'][number]): boolean {
    const entry = entries.get(compare.key);
    switch (compare.is) {
      case 'absent':
        return entry === undefined;
      case 'value':
        return entry !== undefined && String(entry.value) === compare.value;
      case 'modRevision':
        return (entry?.modRevision ?? 0) === compare.modRevision;
    }
  }

  function apply(txn: Txn, lease: string | undefined, informed: boolean): boolean {
    const leased = txn.writes.some((write) => 'put' in write && write.leased);
    if ((leased && !leases.has(lease ?? '')) || !txn.compare.every(holds)) return false;
    commit(txn.writes, lease, informed);
    return true;
  }

  function end(lease: string, expired: boolean): void {
    if (!leases.delete(lease)) return;
    const lost = [...entries].filter(([, entry]) => entry.lease === lease).map(([key]) => key);
    if (lost.length === 0) return;
    const leader = view.leader?.lease === lease ? view.leader.value.instance : undefined;
    commit(
      lost.map((key) => ({ delete: key })),
      undefined,
    );
    if (expired && leader) listener.leaderExpired(leader, lease);
  }

  function expireInTime(lease: string): void {
    const held = leases.get(lease);
    if (!held) return;
    if (time.now() >= held.expiresAt && time.now() >= leaderlessUntil) end(lease, true);
    else time.after(Math.max(held.expiresAt, leaderlessUntil) - time.now(), () => expireInTime(lease));
  }

  function tell(watch: Watch, news: ClusterView): void {
    if (watch.brokenAt !== undefined) return;
    if (!watch.who.host.alive()) {
      watches.delete(watch);
      return;
    }
    network.send(
      etcdNode,
      watch.who.name,
      () =>
        watch.who.host.receive(() => watches.has(watch) && watch.life === watch.who.host.life() && watch.onView(news)),
      watch.connection,
      () => (watch.brokenAt ??= time.now()),
    );
  }

  // ---- calls -------------------------------------------------------------------------------------------------------

  function* call<T>(who: Caller, isWrite: boolean, perform: () => T, limit = deadline): Activity<Answer<T>> {
    return yield* until<Answer<T>>((resume) => {
      who.host.later(limit, () => resume({ failed: 'unknown' }));
      const mine = life;
      const answer = (): void => {
        if (mine !== life) return; // that etcd is gone
        const value = perform();
        if (isWrite && random.chance(faults.duplicated))
          time.after(random.between(1, 2000), () => mine === life && perform());
        if (!isWrite || !random.chance(faults.answersLost))
          network.send(etcdNode, who.name, () => who.host.receive(() => resume({ value })));
      };
      const arrive = (): void => {
        if (time.now() >= leaderlessUntil) answer();
        else if (random.chance(0.5))
          queue.push(answer); // and the rest is lost, or refused
        else if (!random.chance(0.5))
          network.send(etcdNode, who.name, () => who.host.receive(() => resume({ failed: 'refused' })));
      };
      const arriveAfter = (milliseconds: number): void => {
        heldUpUntil = Math.max(heldUpUntil, time.now() + milliseconds);
        time.after(milliseconds, arrive);
      };
      network.send(who.name, etcdNode, () => {
        if (time.now() < outUntil) return;
        if (isWrite && random.chance(faults.landsLate)) arriveAfter(random.between(300, 5000));
        else if (faults.slow > 0) arriveAfter(faults.slow * random.between(300, 900));
        else arrive();
      });
    });
  }

  function losesLeader(milliseconds: number): void {
    leaderlessUntil = Math.max(leaderlessUntil, time.now() + milliseconds);
    time.after(milliseconds, () => {
      if (time.now() < leaderlessUntil) return;
      for (const held of leases.values()) held.expiresAt = time.now() + held.ttl;
      const due = queue;
      queue = [];
      for (const perform of due) perform();
    });
  }

  return {
    faults,
    view: () => view,
    read: (who, milliseconds) => call(who, false, () => view, milliseconds),
    txn: (who, txn, lease) => {
      const informed = listener.knowsOfRestore(who.name);
      return call(who, true, () => apply(txn, lease, informed));
    },
    grant: (who, ttl) =>
      call(who, false, () => {
        const lease = `${who.name}-lease-${++granted}`;
        leases.set(lease, { ttl, expiresAt: time.now() + ttl });
        expireInTime(lease);
        return lease;
      }),
    keepAlive: (who, lease) =>
      call(who, false, () => {
        const held = leases.get(lease);
        if (held) held.expiresAt = time.now() + held.ttl;
        return held !== undefined;
      }),
    revoke: (who, lease) =>
      call(who, false, () => {
        end(lease, false);
        return true;
      }),
    watch: (who, fromRevision, onView) => {
      const watch: Watch = { brokenAt: undefined, connection: { lastArrival: 0 }, onView, who, life: who.host.life() };
      for (const former of watches) if (former.who === who) watches.delete(former);
      watches.add(watch);
      if (fromRevision < compactedTo) watch.brokenAt = time.now();
      if (view.revision > fromRevision) tell(watch, view);
      return watch;
    },
    outage: (milliseconds) => {
      outUntil = Math.max(outUntil, time.now() + milliseconds);
      losesLeader(milliseconds);
      for (const watch of watches) watch.brokenAt ??= time.now() + milliseconds;
    },
    compact: () => {
      compactedTo = revision;
      for (const watch of watches) if (random.chance(0.5)) watch.brokenAt ??= time.now();
    },
    endLease: (lease) => end(lease, false),
    snapshot: () => {
      const then = { entries: [...entries], leases: [...leases], revision };
      return (how) => {
        if (how !== 'same') cluster++;
        life++;
        revision = how === 'empty' ? 1 : then.revision;
        entries.clear();
        if (how !== 'empty') for (const [key, entry] of then.entries) entries.set(key, entry);
        leases.clear();
        for (const [id, { ttl }] of how === 'empty' ? [] : then.leases) {
          leases.set(id, { ttl, expiresAt: time.now() + ttl });
          expireInTime(id);
        }
        for (const watch of watches) watch.brokenAt ??= time.now();
        queue = [];
        compactedTo = revision;
        view = viewOf(entries, revision, cluster);
        listener.restored(view, how === 'same');
      };
    },
    wellSince: () => {
      const troubled = faults.answersLost + faults.landsLate + faults.duplicated + faults.slow > 0;
      const since = Math.max(leaderlessUntil, heldUpUntil);
      return troubled || time.now() < since ? Infinity : since;
    },
    put: (key, value) => commit([{ put: key, value }], undefined),
    delete: (key) => commit([{ delete: key }], undefined),
    losesLeader,
    // A broken stream is noticed after a while; a silent one never is, only the resync helps.
    breakWatches: (silently) => {
      for (const watch of watches) if (random.chance(0.5)) watch.brokenAt ??= silently ? Infinity : time.now();
    },
    recover: () => {
      [faults.answersLost, faults.landsLate, faults.duplicated, faults.slow] = [0, 0, 0, 0];
    },
  };
}

/** As operator/ha/view.ts makes it from JSON, without the cost of parsing in each event. */
function viewOf(entries: ReadonlyMap<string, Entry>, revision: number, cluster: number): ClusterView {
  const get = <T>(key: string): Versioned<T> | undefined => entries.get(key) as Versioned<T> | undefined;
  const members = new Map<string, Member>();
  const promises = new Map<string, Versioned<PromiseRecord>>();
  const history = new Map<number, HistoryEntry>();
  const adoptions = new Map<string, AdoptionRecord>();
  const restarts = new Map<string, Versioned<RestartRequest>>();
  const reinitializations = new Map<string, Versioned<ReinitializeRequest>>();
  const fences = new Map<string, Versioned<Fence>>();
  for (const [key, entry] of entries)
    if (key.startsWith('members/')) members.set(key.slice(8), entry.value as Member);
    else if (key.startsWith('promises/')) promises.set(key.slice(9), entry as Versioned<PromiseRecord>);
    else if (key.startsWith('history/')) history.set(Number(key.slice(8)), entry.value as HistoryEntry);
    else if (key.startsWith('adoptions/')) adoptions.set(key.slice(10), entry.value as AdoptionRecord);
    else if (key.startsWith('requests/restart/')) restarts.set(key.slice(17), entry as Versioned<RestartRequest>);
    else if (key.startsWith('requests/reinitialize/'))
      reinitializations.set(key.slice(22), entry as Versioned<ReinitializeRequest>);
    else if (key.startsWith('fences/')) fences.set(key.slice(7), entry as Versioned<Fence>);
  return {
    revision,
    etcdClusterId: `etcd-${cluster}`,
    definition: get<Definition>(keys.definition)?.value,
    bootstrap: get(keys.bootstrap),
    initialize: get<NonNullable<ClusterView['initialize']>>(keys.initialize)?.value,
    epoch: Number(get(keys.epoch)?.value ?? 0),
    leader: get(keys.leader),
    release: get<NonNullable<ClusterView['release']>>(keys.release)?.value,
    sync: get(keys.sync),
    members,
    promises,
    history,
    switchover: get(keys.switchover),
    failover: get(keys.failover),
    adopt: get(keys.adopt),
    restarts,
    upgrade: get(keys.upgrade),
    reinitializations,
    fences,
    adoptions,
    rewound: get<NonNullable<ClusterView['rewound']>>(keys.rewound)?.value,
  };
}
