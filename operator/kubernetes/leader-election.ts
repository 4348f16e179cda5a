import type { KubernetesClient } from './client.ts';
import type { Surroundings } from './surroundings.ts';

export interface LeaderElectionOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** The Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process, such as the Pod's name with a random end. */
  readonly identity: string;
  /** How long others wait for a silent leader: 15 s. */
  readonly leaseDurationMs?: number;
  /** How long a leader tries to renew before it gives up: 10 s. */
  readonly renewDeadlineMs?: number;
  /** 2 s. */
  readonly retryPeriodMs?: number;
  /** Called once; the signal aborts when leadership ends. */
  readonly onElected: (signal: AbortSignal) => void;
  /** Leadership was lost while running: the caller should exit the process, nothing here fences its calls under way. */
  readonly onLost: () => void;
}

export interface LeaderElection {
  /** Campaigns, leads, and ends: when the signal aborts (the lease is released) or after onLost. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  isLeader(): boolean;
  /** Identity of the present leader as last seen. */
  leader(): string | undefined;
}

export function createLeaderElection(_options: LeaderElectionOptions): LeaderElection {
  throw new Error('not yet');
}
