/** Views and states for tests, from the least that matters to each. */
import type { Definition, Epoch, HistoryEntry, Member, Position, SyncState, Voter } from '../api/cluster-state.ts';
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
}

/** Three instances, `a` primary of epoch 1 on timeline 2 with b and c in its sync set, unless said otherwise. */
export function view(parts: ViewParts = {}): ClusterView {
  const epoch = parts.epoch ?? 1;
  const leader = 'leader' in parts ? parts.leader : 'a';
  return {
    revision: 100,
    etcdClusterId: 'e1',
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
  };
}

export const at = (epoch: Epoch, lsn: string): Position => ({ epoch, lsn });
