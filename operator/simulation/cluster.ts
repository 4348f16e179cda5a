/** What the parts of one simulated world know of each other. */
import type { InstanceName } from '../api/cluster-state.ts';
import type { Bug } from './bugs.ts';
import type { Etcd } from './etcd.ts';
import type { Instance } from './instance.ts';
import type { Judge } from './invariants.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface Cluster {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly network: Network;
  readonly etcd: Etcd;
  readonly judge: Judge;
  readonly instances: Map<InstanceName, Instance>;
  /** A deliberate bug of this world. */
  readonly bug: Bug | undefined;
  readonly trace: (who: string, what: string) => void;
  readonly nextConnection: () => number;
  readonly nextIncarnation: () => string;
  /** Told of each effect begun, so that faults can strike at the worst moment. */
  readonly onEffect: (instance: InstanceName) => void;
}
