/** What etcd says about one cluster, as far as the operator needs it. */
import { z, type ZodType } from 'zod';
import {
  AdoptRequest,
  Answer,
  Declared,
  FailoverRequest,
  Fence,
  HistoryEntry,
  Initialize,
  Leader,
  Member,
  OperationRecord,
  PostgresSettings,
  RestartRequest,
  SwitchoverRequest,
  SyncState,
  Tags,
  keys,
  type Epoch,
  type InstanceName,
} from '../api/cluster-state.ts';
import type { Explanation } from './explanation.ts';

export interface StoredValue {
  readonly value: string;
  readonly modRevision: number;
}

/** With what only the protocol needs to know of it. */
export interface LeasedValue extends StoredValue {
  readonly lease: string;
}

export interface ClusterRuntime {
  /** The etcd that says so, as it calls itself. */
  readonly etcdClusterId: string;
  readonly definition: PublishedDefinition | undefined;
  readonly declaration: StoredValue | undefined;
  /** What the agents have made of it. */
  readonly declared: Declared | undefined;
  /** The cluster has had data. */
  readonly initialized: boolean;
  /** Major version of the data since an upgrade; undefined: there was none. */
  readonly version: string | undefined;
  readonly epoch: Epoch;
  readonly leader: Leader | undefined;
  readonly sync: SyncState | undefined;
  readonly members: ReadonlyMap<InstanceName, Member>;
  /** The last changes of primary, in order. */
  readonly history: readonly HistoryEntry[];
  readonly switchover: (SwitchoverRequest & { readonly modRevision: number }) | undefined;
  /** By the instance that shall restart its database. */
  readonly restarts: ReadonlyMap<InstanceName, RestartRequest & { readonly modRevision: number }>;
  /** A person asks for a forced failover, or for going on with another etcd. */
  readonly emergency: FailoverRequest | AdoptRequest | undefined;
  readonly answer: Answer | undefined;
  /** Whatever is asked of the agents now, by key, as in `requests/switchover` or `fences/orders-2`. */
  readonly requests: ReadonlyMap<string, StandingRequest>;
  /** By the instance whose database shall stay stopped. */
  readonly fences: ReadonlyMap<InstanceName, Fence & { readonly modRevision: number }>;
  /** What became of ClusterOperations, by name. */
  readonly operations: ReadonlyMap<string, KeptOperation>;
  /** Undefined if the protocol can't understand what is stored. */
  readonly explanation: Explanation | undefined;
  /** Nothing at all is stored. */
  readonly empty: boolean;
}

export interface StandingRequest {
  /** Undefined if it can't be read. */
  readonly id: string | undefined;
  readonly modRevision: number;
}

export interface KeptOperation {
  /** Undefined if it can't be read: then it is known only that there was one. */
  readonly record: OperationRecord | undefined;
  readonly modRevision: number;
}

export interface PublishedDefinition {
  /** As it stands there. */
  readonly text: string;
  readonly generation: number;
  readonly parameters: Readonly<Record<string, string>>;
  readonly postgres?: PostgresSettings | undefined;
  readonly instances: readonly InstanceName[];
  /** Of instances that have any. */
  readonly tags: Readonly<Record<InstanceName, Tags>>;
  /** Instances follow each other by certificate, not by password. */
  readonly certificatesOnly: boolean;
  readonly modRevision: number;
}

/** Enough to find whatever is told of the past; nobody removes history, and all of it is parsed at each look. */
const historyEntries = 200;

/**
 * `entries` by key relative to the cluster's prefix. A value on which a removal may depend and that doesn't parse throws:
 * to guess would be worse than to wait. A member that doesn't parse (a newer agent's) is as good as silent.
 */
export function parseRuntime(
  entries: ReadonlyMap<string, StoredValue>,
  explanation: Explanation | undefined,
  etcdClusterId: string,
): ClusterRuntime {
  const parsed = <T>(key: string, schema: ZodType<T>): T | undefined => {
    const entry = entries.get(key);
    return entry === undefined ? undefined : schema.parse(JSON.parse(entry.value));
  };
  const definition = entries.get(keys.definition);
  const switchover = entries.get(keys.switchover);
  const history = [...entries.keys()].filter((key) => key.startsWith('history/')).sort();
  return {
    etcdClusterId,
    definition: definition && publishedDefinition(definition),
    declaration: entries.get(keys.declaration),
    declared: Declared.safeParse(parsedJson(entries.get(keys.declared)?.value ?? '')).data,
    initialized: entries.has(keys.initialize),
    version: parsed(keys.initialize, Initialize)?.version,
    epoch: Number(entries.get(keys.epoch)?.value ?? '0'),
    leader: parsed(keys.leader, Leader),
    sync: parsed(keys.sync, SyncState),
    members: new Map(membersIn(entries).map((member) => [member.instance, member])),
    history: history.slice(-historyEntries).flatMap((key) => parsed(key, HistoryEntry) ?? []),
    switchover: switchover && {
      ...SwitchoverRequest.parse(JSON.parse(switchover.value)),
      modRevision: switchover.modRevision,
    },
    restarts: new Map(restartsIn(entries)),
    emergency: parsed(keys.failover, FailoverRequest) ?? parsed(keys.adopt, AdoptRequest),
    answer: parsed(keys.answer, Answer),
    requests: new Map([...under(entries, 'requests/', standing), ...under(entries, keys.fence(''), standing)]),
    fences: fencesIn(entries),
    operations: new Map(
      [
        ...under(entries, keys.operation(''), ({ value, modRevision }) => ({
          record: OperationRecord.safeParse(parsedJson(value)).data,
          modRevision,
        })),
      ].map(([key, kept]) => [key.slice(keys.operation('').length), kept]),
    ),
    explanation,
    empty: entries.size === 0,
  };
}

const standing = ({ value, modRevision }: StoredValue): StandingRequest => ({
  id: RequestId.safeParse(parsedJson(value)).data?.id,
  modRevision,
});

function fencesIn(entries: ReadonlyMap<string, StoredValue>): ClusterRuntime['fences'] {
  const prefix = keys.fence('');
  return new Map(
    [...under(entries, prefix, (entry) => entry)].flatMap(([key, { value, modRevision }]) => {
      const fence = Fence.safeParse(parsedJson(value));
      return fence.success ? [[key.slice(prefix.length), { ...fence.data, modRevision }] as const] : [];
    }),
  );
}

const RequestId = z.object({ id: z.string() });

function under<T>(
  entries: ReadonlyMap<string, StoredValue>,
  prefix: string,
  read: (entry: StoredValue) => T,
): ReadonlyMap<string, T> {
  return new Map(
    [...entries].filter(([key]) => key.startsWith(prefix)).map(([key, entry]): [string, T] => [key, read(entry)]),
  );
}

/** The definition is ours to write: one that can't be read is simply not the one we want. */
export function publishedDefinition({ value, modRevision }: StoredValue): PublishedDefinition {
  const read = OwnDefinition.safeParse(parsedJson(value));
  const { tls, ...own } = read.success
    ? read.data
    : { generation: 0, parameters: {}, instances: [], tags: {}, tls: undefined };
  return { text: value, ...own, certificatesOnly: tls?.certificatesOnly ?? false, modRevision };
}

const OwnDefinition = z.object({
  generation: z.int().default(0),
  parameters: z.record(z.string(), z.string()).default({}),
  postgres: PostgresSettings.optional(),
  instances: z.array(z.string()),
  tags: z.record(z.string(), Tags).default({}),
  tls: z.object({ certificatesOnly: z.boolean() }).optional(),
});

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function restartsIn(
  entries: ReadonlyMap<string, StoredValue>,
): [InstanceName, RestartRequest & { modRevision: number }][] {
  const prefix = keys.restart('');
  return [...entries].flatMap(([key, { value, modRevision }]) => {
    const request = key.startsWith(prefix) ? RestartRequest.safeParse(parsedJson(value)) : undefined;
    return request?.success === true ? [[key.slice(prefix.length), { ...request.data, modRevision }]] : [];
  });
}

function membersIn(entries: ReadonlyMap<string, StoredValue>): readonly Member[] {
  return [...entries].flatMap(([key, entry]) => {
    if (!key.startsWith('members/')) return [];
    const member = Member.safeParse(parsedJson(entry.value));
    return member.success ? [member.data] : [];
  });
}
