/** What etcd holds about one cluster at one revision, parsed. */
import type { ZodType } from 'zod';
import {
  AdoptionRecord,
  AdoptRequest,
  Declared,
  Definition,
  Fence,
  FailoverRequest,
  GroupRecord,
  HistoryEntry,
  Initialize,
  Leader,
  Member,
  PromiseRecord,
  Release,
  ReinitializeRequest,
  RestartRequest,
  Rewound,
  SwitchoverRequest,
  SyncState,
  UpgradeRequest,
  keys,
  type Epoch,
  type InstanceName,
} from '../api/cluster-state.ts';

/** A value together with what a transaction needs to replace exactly it. */
export interface Versioned<T> {
  readonly value: T;
  readonly modRevision: number;
  readonly lease: string;
}

export interface ClusterView {
  readonly revision: number;
  readonly etcdClusterId: string;
  readonly definition: Definition | undefined;
  /** What shall be inside the database; for the engine alone. */
  readonly declaration?: string;
  readonly declared?: Versioned<Declared>;
  readonly bootstrap: Versioned<string> | undefined;
  readonly initialize: Initialize | undefined;
  readonly epoch: Epoch;
  readonly group?: Versioned<GroupRecord>;
  readonly leader: Versioned<Leader> | undefined;
  readonly release: Release | undefined;
  readonly sync: Versioned<SyncState> | undefined;
  readonly members: ReadonlyMap<InstanceName, Member>;
  readonly promises: ReadonlyMap<InstanceName, Versioned<PromiseRecord>>;
  /** By epoch. */
  readonly history: ReadonlyMap<Epoch, HistoryEntry>;
  readonly switchover: Versioned<SwitchoverRequest> | undefined;
  readonly failover: Versioned<FailoverRequest> | undefined;
  readonly adopt: Versioned<AdoptRequest> | undefined;
  /** By instance. */
  readonly restarts: ReadonlyMap<InstanceName, Versioned<RestartRequest>>;
  readonly upgrade: Versioned<UpgradeRequest> | undefined;
  readonly reinitializations: ReadonlyMap<InstanceName, Versioned<ReinitializeRequest>>;
  readonly fences: ReadonlyMap<InstanceName, Versioned<Fence>>;
  readonly rewound: Rewound | undefined;
  readonly adoptions: ReadonlyMap<InstanceName, AdoptionRecord>;
}

export interface RawEntry {
  readonly value: string;
  readonly modRevision: number;
  readonly lease: string;
}

/** What was parsed before, by key: from one look to the next almost nothing changes, and history grows. */
export type ParsedValues = Map<string, { readonly text: string; readonly value: unknown }>;

/**
 * `entries` by key relative to the cluster's prefix. A value that decides (leader, sync, promises …) and doesn't parse
 * throws: guessing would be worse than stopping. A request or a member that doesn't parse is as good as absent.
 */
export function parseView(
  entries: ReadonlyMap<string, RawEntry>,
  at: { readonly revision: number; readonly clusterId: string },
  known: ParsedValues = new Map(),
): ClusterView {
  const parsed = <T>(key: string, schema: ZodType<T>): Versioned<T> | undefined => {
    const entry = entries.get(key);
    if (!entry) return undefined;
    const before = known.get(key);
    const value = before?.text === entry.value ? (before.value as T) : schema.parse(JSON.parse(entry.value));
    known.set(key, { text: entry.value, value });
    return { value, modRevision: entry.modRevision, lease: entry.lease };
  };
  const lenient = <T>(key: string, schema: ZodType<T>): Versioned<T> | undefined => {
    try {
      return parsed(key, schema);
    } catch {
      return undefined;
    }
  };
  const under = <T>(prefix: string, schema: ZodType<T>): readonly Versioned<T>[] =>
    [...entries.keys()].filter((key) => key.startsWith(prefix)).map((key) => parsed(key, schema) as Versioned<T>);

  const byInstance = <T>(prefix: string, schema: ZodType<T>): ReadonlyMap<InstanceName, Versioned<T>> =>
    new Map(
      [...entries.keys()].flatMap((key) => {
        const found = key.startsWith(prefix) ? lenient(key, schema) : undefined;
        return found ? [[key.slice(prefix.length), found] as const] : [];
      }),
    );

  const bootstrap = entries.get(keys.bootstrap);
  const declaration = entries.get(keys.declaration);
  const declared = lenient(keys.declared, Declared);
  const group = parsed(keys.group, GroupRecord);
  return {
    revision: at.revision,
    etcdClusterId: at.clusterId,
    definition: parsed(keys.definition, Definition)?.value,
    ...(declaration && { declaration: declaration.value }),
    ...(declared && { declared }),
    bootstrap: bootstrap && { value: bootstrap.value, modRevision: bootstrap.modRevision, lease: bootstrap.lease },
    initialize: parsed(keys.initialize, Initialize)?.value,
    epoch: Number(entries.get(keys.epoch)?.value ?? '0'),
    ...(group && { group }),
    leader: parsed(keys.leader, Leader),
    release: parsed(keys.release, Release)?.value,
    sync: parsed(keys.sync, SyncState),
    members: new Map(
      [...entries.keys()]
        .filter((key) => key.startsWith('members/'))
        .map((key) => lenient(key, Member)?.value)
        .filter((member) => member !== undefined)
        .map((member) => [member.instance, member]),
    ),
    promises: new Map(under('promises/', PromiseRecord).map((promise) => [promise.value.instance, promise])),
    history: new Map(under('history/', HistoryEntry).map(({ value }) => [value.epoch, value])),
    switchover: lenient(keys.switchover, SwitchoverRequest),
    failover: lenient(keys.failover, FailoverRequest),
    adopt: lenient(keys.adopt, AdoptRequest),
    restarts: byInstance(keys.restart(''), RestartRequest),
    reinitializations: byInstance(keys.reinitialize(''), ReinitializeRequest),
    fences: byInstance(keys.fence(''), Fence),
    upgrade: lenient(keys.upgrade, UpgradeRequest),
    rewound: parsed(keys.rewound, Rewound)?.value,
    adoptions: new Map(under('adoptions/', AdoptionRecord).map(({ value }) => [value.instance, value])),
  };
}

/**
 * Epoch in which a timeline began. A primary that claims again without stopping goes on with its timeline, so that one
 * timeline may serve several epochs in a row; its first one orders logs all the same, since only that primary wrote it.
 */
export function epochOfTimeline(history: ReadonlyMap<Epoch, HistoryEntry>, timeline: number): Epoch {
  const epochs = [...history.values()].filter((entry) => entry.timeline === timeline).map((entry) => entry.epoch);
  return epochs.length === 0 ? 0 : Math.min(...epochs);
}

/**
 * Epoch of the last record of a log that ends on `timeline`, by this etcd's history alone. A timeline that an etcd which went
 * back in time knows nothing of counts above every epoch that it knows, in the order of timelines, which is that of epochs.
 */
export function epochOfEnd(history: ReadonlyMap<Epoch, HistoryEntry>, timeline: number): Epoch {
  const known = epochOfTimeline(history, timeline);
  return known > 0 || timeline === 1 ? known : Math.max(0, ...history.keys()) + timeline;
}
