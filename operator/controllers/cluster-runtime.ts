/** What etcd says about one cluster, as far as the operator needs it. */
import type { ZodType } from 'zod';
import {
  HistoryEntry,
  Leader,
  Member,
  SwitchoverRequest,
  SyncState,
  keys,
  type Epoch,
  type InstanceName,
} from '../api/cluster-state.ts';

export interface StoredValue {
  readonly value: string;
  readonly modRevision: number;
}

export interface ClusterRuntime {
  /** As it stands there, text for text. */
  readonly definition:
    { readonly text: string; readonly instances: readonly InstanceName[]; readonly modRevision: number } | undefined;
  /** The cluster has had data. */
  readonly initialized: boolean;
  readonly epoch: Epoch;
  readonly leader: Leader | undefined;
  readonly sync: SyncState | undefined;
  readonly members: ReadonlyMap<InstanceName, Member>;
  readonly latest: HistoryEntry | undefined;
  readonly switchover: (SwitchoverRequest & { readonly modRevision: number }) | undefined;
  /** Nothing at all is stored. */
  readonly empty: boolean;
}

/**
 * `entries` by key relative to the cluster's prefix. A value on which a removal may depend and that doesn't parse throws:
 * to guess would be worse than to wait. A member that doesn't parse (a newer agent's) is as good as silent.
 */
export function parseRuntime(entries: ReadonlyMap<string, StoredValue>): ClusterRuntime {
  const parsed = <T>(key: string, schema: ZodType<T>): T | undefined => {
    const entry = entries.get(key);
    return entry === undefined ? undefined : schema.parse(JSON.parse(entry.value));
  };
  const definition = entries.get(keys.definition);
  const switchover = entries.get(keys.switchover);
  const lastHistory = [...entries.keys()]
    .filter((key) => key.startsWith('history/'))
    .sort()
    .at(-1);
  return {
    definition: definition && {
      text: definition.value,
      instances: definedInstances(definition.value),
      modRevision: definition.modRevision,
    },
    initialized: entries.has(keys.initialize),
    epoch: Number(entries.get(keys.epoch)?.value ?? '0'),
    leader: parsed(keys.leader, Leader),
    sync: parsed(keys.sync, SyncState),
    members: new Map(membersIn(entries).map((member) => [member.instance, member])),
    latest: lastHistory === undefined ? undefined : parsed(lastHistory, HistoryEntry),
    switchover: switchover && {
      ...SwitchoverRequest.parse(JSON.parse(switchover.value)),
      modRevision: switchover.modRevision,
    },
    empty: entries.size === 0,
  };
}

/** The definition is ours to write: one that can't be read is simply not the one we want. */
function definedInstances(text: string): readonly InstanceName[] {
  try {
    const { instances } = JSON.parse(text) as { instances?: unknown };
    return Array.isArray(instances) ? instances.map(String) : [];
  } catch {
    return [];
  }
}

function membersIn(entries: ReadonlyMap<string, StoredValue>): readonly Member[] {
  return [...entries].flatMap(([key, entry]) => {
    if (!key.startsWith('members/')) return [];
    try {
      const member = Member.safeParse(JSON.parse(entry.value));
      return member.success ? [member.data] : [];
    } catch {
      return [];
    }
  });
}
