/** What the parts of one simulated world know of each other. */
import type { InstanceName } from '../api/cluster-state.ts';
import type { Effect } from '../ha/state.ts';
import type { Bug } from './bugs.ts';
import type { Coverage } from './coverage.ts';
import type { Etcd } from './etcd.ts';
import type { Instance } from './instance.ts';
import type { Judge } from './invariants.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** An effect is about to be carried out, or is done and about to be told. */
export interface Moment {
  readonly instance: InstanceName;
  readonly effect: Effect;
  readonly when: 'before' | 'after';
}

export type Verdict = 'go' | 'crash' | { readonly late: number };

export interface Cluster {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly network: Network;
  readonly etcd: Etcd;
  readonly judge: Judge;
  readonly coverage: Coverage;
  readonly instances: Map<InstanceName, Instance>;
  /** A deliberate bug of this world. */
  readonly bug: Bug | undefined;
  readonly trace: (who: string, what: string) => void;
  readonly nextConnection: () => number;
  readonly nextIncarnation: () => string;
  /** Asked at each moment, so that faults can strike at the worst one. */
  readonly at: (moment: Moment) => Verdict;
  /** Instances that shall get another volume in place of the one of this incarnation (spec.storage.storageClassName). */
  readonly moving: Map<InstanceName, string>;
  /** Whose nodes do not exist, nor their volumes with them: until they come back, or begin anew. */
  readonly gone: Set<InstanceName>;
  /** A further instance, not started yet. */
  readonly add: (name: InstanceName) => Instance;
}
