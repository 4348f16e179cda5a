/**
 * etcd's data model in memory: revisions, leases, transactions, watches, compaction. Same answers as the real one (one
 * conformance suite runs against both), on an injected clock. Several clients share one store.
 */
import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import { noLease, type Compare, type KeyValue, type LeaseId, type WatchEvent, type Write } from './dcs.ts';

export interface MemoryStore {
  readonly clusterId: string;
  revision(): number;
  range(prefix: string): ReadonlyMap<string, KeyValue>;
  /** Throws DcsRejected where etcd refuses the whole request. */
  txn(
    compare: readonly Compare[],
    writes: readonly Write[],
  ): { readonly succeeded: boolean; readonly revision: number };
  /** Past events from `fromRevision` on come at once, in one batch per revision. Throws DcsCompacted. */
  watch(prefix: string, fromRevision: number, onEvents: OnEvents): () => void;
  grantLease(ttlSeconds: number): LeaseId;
  /** The full TTL again; 0 if the lease is gone. */
  renewLease(lease: LeaseId): number;
  /** False if there is no such lease. */
  revokeLease(lease: LeaseId): boolean;
  compact(revision: number): void;
  /** A new leader of etcd gives every lease its full TTL again, and an election timeout more. */
  changeLeader(): void;
  /** Without a quorum nobody is answered and no lease ends; regaining it is a change of leader. */
  setQuorum(present: boolean): void;
  hasQuorum(): boolean;
}

export type OnEvents = (revision: number, events: readonly WatchEvent[]) => void;

/** etcd's defaults: one and a half election timeouts, rounded up; 128 operations; 1.5 MiB. */
const electionTimeoutSeconds = 1;
const minimumTtlSeconds = 2;
const maximumOperations = 128;
const maximumRequestBytes = 1.5 * 1024 * 1024;

export function createMemoryStore(options: { readonly clock: Clock; readonly clusterId?: string }): MemoryStore {
  const { clock } = options;
  const entries = new Map<string, KeyValue>();
  const leases = new Map<LeaseId, Lease>();
  const watchers = new Set<{ readonly prefix: string; readonly fromRevision: number; readonly onEvents: OnEvents }>();
  let history: Change[] = [];
  let revision = 1;
  let compacted = 0;
  let leasesGranted = 0;
  let quorum = true;

  /** One revision for all of `events`; none if nothing changed. */
  function commit(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    revision += 1;
    history.push({ revision, events });
    for (const { prefix, fromRevision, onEvents } of [...watchers]) {
      const seen = under(prefix, events);
      if (seen.length > 0 && revision >= fromRevision) onEvents(revision, seen);
    }
  }

  function put(key: string, value: string, lease: LeaseId, modRevision: number): WatchEvent {
    const before = entries.get(key);
    const entry = { key, value, createRevision: before?.createRevision ?? modRevision, modRevision, lease };
    if (before) leases.get(before.lease)?.keys.delete(key);
    leases.get(lease)?.keys.add(key);
    entries.set(key, entry);
    return { type: 'put', entry };
  }

  function remove(key: string, modRevision: number): readonly WatchEvent[] {
    const before = entries.get(key);
    if (!before) return [];
    leases.get(before.lease)?.keys.delete(key);
    entries.delete(key);
    return [{ type: 'delete', key, modRevision }];
  }

  function holds(compare: Compare): boolean {
    const entry = entries.get(compare.key);
    switch (compare.is) {
      case 'absent':
        return entry === undefined;
      case 'present':
        return entry !== undefined;
      case 'value':
        return entry?.value === compare.value;
      case 'modRevision':
        return (entry?.modRevision ?? 0) === compare.modRevision;
    }
  }

  function endLease(id: LeaseId, lease: Lease): void {
    lease.cancelExpiry();
    leases.delete(id);
    commit([...lease.keys].sort().flatMap((key) => remove(key, revision + 1)));
  }

  function refresh(id: LeaseId, lease: Lease, seconds: number): void {
    lease.cancelExpiry();
    lease.cancelExpiry = clock.after(seconds * 1000, () => {
      if (quorum) endLease(id, lease);
    });
  }

  function changeLeader(): void {
    for (const [id, lease] of leases) refresh(id, lease, lease.ttlSeconds + electionTimeoutSeconds);
  }

  return {
    clusterId: options.clusterId ?? '1',
    revision: () => revision,
    range: (prefix) =>
      new Map([...entries].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))),

    txn: (compare, writes) => {
      refuseMalformed(compare, writes);
      if (!compare.every(holds)) return { succeeded: false, revision };
      for (const write of writes) {
        if ('put' in write && write.lease !== undefined && write.lease !== noLease && !leases.has(write.lease)) {
          throw refusal('requested lease not found');
        }
      }
      const next = revision + 1;
      commit(
        writes.flatMap((write) =>
          'put' in write ? [put(write.put, write.value, write.lease ?? noLease, next)] : remove(write.delete, next),
        ),
      );
      return { succeeded: true, revision };
    },

    watch: (prefix, fromRevision, onEvents) => {
      if (fromRevision > 0 && fromRevision < compacted) {
        throw new MainstayError('DcsCompacted', `The history before revision ${compacted} is gone.`, {
          retryable: true,
        });
      }
      const watcher = { prefix, fromRevision, onEvents };
      if (fromRevision > 0) {
        for (const past of history.filter((change) => change.revision >= fromRevision)) {
          const seen = under(prefix, past.events);
          if (seen.length > 0) onEvents(past.revision, seen);
        }
      }
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },

    grantLease: (ttlSeconds) => {
      leasesGranted += 1;
      const id = String(1000 + leasesGranted);
      const lease: Lease = {
        ttlSeconds: Math.max(ttlSeconds, minimumTtlSeconds),
        keys: new Set(),
        cancelExpiry: () => undefined,
      };
      leases.set(id, lease);
      refresh(id, lease, lease.ttlSeconds);
      return id;
    },
    renewLease: (id) => {
      const lease = leases.get(id);
      if (!lease) return 0;
      refresh(id, lease, lease.ttlSeconds);
      return lease.ttlSeconds;
    },
    revokeLease: (id) => {
      const lease = leases.get(id);
      if (lease) endLease(id, lease);
      return lease !== undefined;
    },

    compact: (upTo) => {
      compacted = upTo;
      history = history.filter((change) => change.revision >= upTo);
    },
    changeLeader,
    setQuorum: (present) => {
      if (present && !quorum) changeLeader();
      quorum = present;
    },
    hasQuorum: () => quorum,
  };
}

interface Change {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

interface Lease {
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
  cancelExpiry: () => void;
}

function under(prefix: string, events: readonly WatchEvent[]): readonly WatchEvent[] {
  return events.filter((event) => (event.type === 'put' ? event.entry.key : event.key).startsWith(prefix));
}

function refuseMalformed(compare: readonly Compare[], writes: readonly Write[]): void {
  if (compare.length > maximumOperations || writes.length > maximumOperations) {
    throw refusal('too many operations in txn request');
  }
  const puts = writes.flatMap((write) => ('put' in write ? [write.put] : []));
  const deletes = new Set(writes.flatMap((write) => ('delete' in write ? [write.delete] : [])));
  if ([...puts, ...deletes, ...compare.map(({ key }) => key)].includes('')) throw refusal('key is not provided');
  if (new Set(puts).size < puts.length || puts.some((key) => deletes.has(key))) {
    throw refusal('duplicate key given in txn request');
  }
  const bytes = writes.reduce((sum, write) => sum + ('put' in write ? Buffer.byteLength(write.value) : 0), 0);
  if (bytes > maximumRequestBytes) throw refusal('request is too large');
}

function refusal(message: string): MainstayError {
  return new MainstayError('DcsRejected', `etcd in memory refused: etcdserver: ${message}`);
}
