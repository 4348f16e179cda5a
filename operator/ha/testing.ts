/** Views and states for tests, from the least that matters to each. */
import type {
  AdoptionRecord,
  Definition,
  Epoch,
  HistoryEntry,
  Member,
  Position,
  SyncState,
  Voter,
} from '../api/cluster-state.ts';
import { decide } from './decide.ts';
import type { DatabaseState, Effect, HaState } from './state.ts';
import { initialState } from './step.ts';
import type { ClusterView } from './view.ts';

export const voter = (instance: string, incarnation = 'v1'): Voter => ({ instance, incarnation });

export const definition: Definition = {
  generation: 1,
  engine: 'postgres',
  version: '18',
  instances: ['a', 'b', 'c'],
  durability: { mode: 'Strict', acknowledgements: 1 },
  parameters: {},
  application: { database: 'app', owner: 'app' },
  paused: false,
};

export const member = (instance: string, over: Partial<Member> = {}): Member => ({
  instance,
  incarnation: 'v1',
  state: 'streaming',
  role: 'replica',
  address: `10.0.0.${instance.charCodeAt(0) - 96}`,
  databasePort: 5432,
  agentPort: 8008,
  node: `node-${instance}`,
  version: '18',
  ...over,
});

export interface ViewParts {
  readonly epoch?: Epoch;
  readonly leader?: string | undefined;
  readonly lease?: string;
  readonly sync?: Partial<SyncState>;
  readonly promises?: Readonly<Record<string, readonly [Epoch, Position, string?]>>;
  readonly members?: readonly Member[];
  readonly history?: readonly HistoryEntry[];
  readonly definition?: Partial<Definition>;
  readonly release?: ClusterView['release'];
  readonly switchover?: ClusterView['switchover'];
  readonly failover?: ClusterView['failover'];
  readonly adopt?: ClusterView['adopt'];
  /** Instances asked to restart. */
  readonly restarts?: readonly string[];
  readonly upgrade?: ClusterView['upgrade'];
  /** Instances whose data shall be replaced. */
  readonly reinitialized?: readonly string[];
  readonly fenced?: readonly string[];
  readonly adoptions?: readonly AdoptionRecord[];
  readonly etcdClusterId?: string;
}

/** Three instances, `a` primary of epoch 1 on timeline 2 with b and c in its sync set, unless said otherwise. */
export function view(parts: ViewParts = {}): ClusterView {
  const epoch = parts.epoch ?? 1;
  const leader = 'leader' in parts ? parts.leader : 'a';
  return {
    revision: 100,
    etcdClusterId: parts.etcdClusterId ?? 'e1',
    definition: { ...definition, ...parts.definition },
    bootstrap: undefined,
    initialize: { systemIdentifier: '7', etcdClusterId: 'e1', at: '' },
    epoch,
    leader:
      leader === undefined
        ? undefined
        : {
            value: { ...voter(leader), epoch, lease: parts.lease ?? `lease-${leader}` },
            modRevision: 10,
            lease: `lease-${leader}`,
          },
    release: parts.release,
    sync: {
      value: { epoch, primary: voter('a'), members: [voter('b'), voter('c')], acknowledgements: 1, ...parts.sync },
      modRevision: 20,
      lease: '0',
    },
    members: new Map(
      (parts.members ?? [member('a', { role: 'primary', state: 'running' }), member('b'), member('c')]).map((m) => [
        m.instance,
        m,
      ]),
    ),
    promises: new Map(
      Object.entries(parts.promises ?? {}).map(([instance, [promised, position, incarnation]]) => [
        instance,
        { value: { ...voter(instance, incarnation), epoch: promised, position }, modRevision: 30, lease: '0' },
      ]),
    ),
    history: new Map(
      (parts.history ?? [{ epoch: 1, winner: 'a', reason: 'Bootstrap', timeline: 2, lineage: [], at: '' }]).map((h) => [
        h.epoch,
        h,
      ]),
    ),
    switchover: parts.switchover,
    failover: parts.failover,
    upgrade: parts.upgrade,
    adopt: parts.adopt,
    restarts: new Map(
      (parts.restarts ?? []).map((instance) => [
        instance,
        {
          value: { id: `restart-${instance}`, reason: 'test', deadline: '2026-01-01T00:01:00Z' },
          modRevision: 40,
          lease: '0',
        },
      ]),
    ),
    reinitializations: new Map(
      (parts.reinitialized ?? []).map((instance) => [
        instance,
        {
          value: {
            id: `reinitialize-${instance}`,
            incarnation: 'v1',
            reason: 'test',
            deadline: '2026-01-01T00:01:00Z',
          },
          modRevision: 41,
          lease: '0',
        },
      ]),
    ),
    fences: new Map(
      (parts.fenced ?? []).map((instance) => [
        instance,
        {
          value: { id: `fence-${instance}`, incarnation: 'v1', reason: 'test' },
          modRevision: 42,
          lease: '0',
        },
      ]),
    ),
    rewound: undefined,
    adoptions: new Map((parts.adoptions ?? []).map((record) => [record.instance, record])),
  };
}

export const at = (epoch: Epoch, lsn: string): Position => ({ epoch, lsn });

// ---- states and what is decided in them -------------------------------------------------------------------------------

export const time = { now: 10_000, wall: '2026-01-01T00:00:00Z' };

export const replica = (over: Partial<Extract<DatabaseState, { status: 'replica' }>> = {}): DatabaseState => ({
  status: 'replica',
  systemIdentifier: '7',
  following: undefined,
  sealed: undefined,
  diverged: undefined,
  highestTimeline: 2,
  ...over,
});
export const primary = (over: Partial<Extract<DatabaseState, { status: 'primary' }>> = {}): DatabaseState => ({
  status: 'primary',
  systemIdentifier: '7',
  epoch: 1,
  timeline: 2,
  open: true,
  applied: { members: [voter('b'), voter('c')], acknowledgements: 1 },
  lineage: [],
  ...over,
});
export const stopped: Extract<DatabaseState, { status: 'stopped' }> = {
  status: 'stopped',
  systemIdentifier: '7',
  highestTimeline: 2,
  needsPrimary: false,
  initializedHere: true,
};
export const sealedAt = (lsn: string, epoch = 1): DatabaseState => replica({ sealed: at(epoch, lsn) });

/** Instance `instance`, long since started, holding its lease. */
export function of(instance: string, parts: ViewParts, over: Partial<HaState> = {}): HaState {
  return {
    ...initialState({ ...voter(instance), address: member(instance).address }, 1, time),
    view: view(parts),
    lease: `lease-${instance}`,
    startedAt: 0,
    ...over,
  };
}

/** The one thing decided, in short: an effect's name, or what is waited for. */
export const first = (state: HaState): string => {
  const { effects, because } = decide(state);
  const [effect] = effects;
  return effect === undefined ? `wait: ${because}` : effect.type === 'txn' ? effect.purpose : effect.type;
};
export const txnOf = (state: HaState): Extract<Effect, { type: 'txn' }> => {
  const effect = decide(state).effects.find((e) => e.type === 'txn');
  if (effect?.type !== 'txn') throw new Error('no transaction was decided');
  return effect;
};
export const written = (state: HaState, key: string): unknown =>
  txnOf(state).txn.writes.flatMap((w) => ('put' in w && w.put === key ? [w.value] : []))[0];
