/** The faults that may overlap, and what each takes away while it lasts. What they do is in injection.ts. */
import type { EngineName } from '../../operator/api/cluster-state.ts';

/** What is hit. Of instances the schedule knows only their roles when the round begins. */
export type Place = Slot | 'etcd' | 'operator' | 'API server' | 'request';
export type Slot = (typeof slots)[number];
export const slots = ['primary', 'replica 1', 'replica 2'] as const;

export interface FaultKind {
  /** Seconds, from–to; none: over in a moment. */
  readonly lasts?: readonly [number, number];
  readonly hits: 'instance' | 'replica' | 'node' | 'whoever leads' | Exclude<Place, Slot>;
  /** The instance can't acknowledge, or others can't count on it: who led may be replaced. Default for instances and nodes: yes. */
  readonly spares?: true;
  /** Members of etcd that are away at a time; a node has one, too. */
  readonly etcdMembers?: 1 | 'all';
  /** The only copy of the data on that instance is gone. */
  readonly destroys?: true;
  /** It is made, or ended, through the API server. */
  readonly needsApi?: true;
  /** Entries of the catalogue, docs/compatibility/fault-catalogue.md. */
  readonly entries: readonly string[];
  readonly only?: EngineName;
}

const kinds = {
  'database killed': { hits: 'instance', entries: ['F37', 'F61'] },
  'whoever leads is killed': { hits: 'whoever leads', needsApi: true, entries: ['F37', 'F46'] },
  'database stopped': { hits: 'instance', lasts: [1, 15], entries: ['F39'] },
  'log writer and checkpointer stopped': {
    ...{ hits: 'instance', lasts: [2, 15], entries: ['F40'], only: 'postgres' },
  },
  'backend killed': { hits: 'instance', entries: ['F38', 'F52'], only: 'postgres' },
  'all connections taken': { hits: 'instance', lasts: [3, 12], spares: true, needsApi: true, entries: ['F41'] },
  'agent killed': { hits: 'instance', entries: ['F63', 'F97'] },
  'agent stopped': { hits: 'instance', lasts: [1, 20], entries: ['F64', 'F65'] },
  'machine paused': { hits: 'instance', lasts: [1, 20], entries: ['F65'] },
  'deadman killed': { hits: 'instance', spares: true, entries: ['F63'] },
  'Pod deleted': { hits: 'instance', needsApi: true, entries: ['F85'] },
  'Pod deleted without grace': { hits: 'instance', needsApi: true, entries: ['F85', 'F97'] },
  'volume lost': { hits: 'replica', destroys: true, needsApi: true, entries: ['F48', 'F80'] },
  'cut off from etcd': { hits: 'instance', lasts: [2, 20], entries: ['F27', 'F28'] },
  'cut off from etcd one way': { hits: 'instance', lasts: [2, 20], entries: ['F26', 'F72'] },
  'cut off from the other instances': { hits: 'instance', lasts: [2, 20], entries: ['F53', 'F73'] },
  'cut off from the other instances one way': { hits: 'instance', lasts: [2, 20], entries: ['F72'] },
  'cut off from all but clients': { hits: 'instance', lasts: [2, 20], entries: ['F71'] },
  'packets lost': { hits: 'instance', lasts: [5, 25], entries: ['F76'] },
  'node without power': {
    hits: 'node',
    lasts: [4, 20],
    etcdMembers: 1,
    needsApi: true,
    entries: ['F23', 'F68', 'F78'],
  },
  'node cut off': { hits: 'node', lasts: [4, 20], etcdMembers: 1, needsApi: true, entries: ['F71'] },
  'node cut off from one other': { hits: 'node', lasts: [4, 20], etcdMembers: 1, needsApi: true, entries: ['F75'] },
  'node cordoned': { hits: 'node', lasts: [5, 20], needsApi: true, entries: ['F69'] },
  'etcd’s leader killed': { hits: 'etcd', etcdMembers: 1, entries: ['F22', 'F29'] },
  'member of etcd stopped': { hits: 'etcd', lasts: [2, 15], etcdMembers: 1, entries: ['F26', 'F31'] },
  'all of etcd stopped': { hits: 'etcd', lasts: [1, 15], etcdMembers: 'all', entries: ['F24'] },
  'etcd slow': { hits: 'etcd', lasts: [5, 15], etcdMembers: 'all', entries: ['F25', 'F32'] },
  'operator killed': { hits: 'operator', entries: ['F8'] },
  'operator stopped': { hits: 'operator', lasts: [5, 25], entries: ['F9'] },
  'operator away': { hits: 'operator', lasts: [5, 25], needsApi: true, entries: ['F11', 'F96'] },
  'API server away': { hits: 'API server', lasts: [5, 20], entries: ['F4'] },
  'switchover asked for': { hits: 'request', needsApi: true, entries: ['F57', 'F88'] },
} as const satisfies Readonly<Record<string, FaultKind>>;

export type FaultName = keyof typeof kinds;
export const faultKinds: Readonly<Record<FaultName, FaultKind>> = kinds;
export const faultNames = Object.keys(kinds) as readonly FaultName[];
