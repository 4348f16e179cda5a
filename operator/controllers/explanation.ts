import type { InstanceName } from '../api/cluster-state.ts';

/** What the protocol says about a cluster. It is asked through `Explain`, because no decision here may rest on its rules. */
export interface Explanation {
  /** One sentence: who leads and why, or why nobody does and what would help. */
  readonly summary: string;
  /** For each instance that should exist. */
  readonly ifLost: ReadonlyMap<InstanceName, Consequence>;
}

export interface Consequence {
  readonly outcome: 'failover' | 'unaffected' | 'unprotected' | 'writes-stop' | 'blocked';
  readonly successor?: InstanceName;
}

/** `entries` by key relative to the cluster's prefix. May throw if what is stored can't be understood. */
export type Explain = (
  entries: ReadonlyMap<string, { readonly value: string; readonly modRevision: number; readonly lease: string }>,
  at: { readonly revision: number; readonly clusterId: string },
) => Explanation;

/** In few words, for a column. */
export function ifLostText({ outcome, successor }: Consequence): string {
  switch (outcome) {
    case 'failover':
      return successor === undefined ? 'failover' : `failover to ${successor}`;
    case 'unaffected':
      return 'service goes on';
    case 'unprotected':
      return 'writes go on, on fewer replicas than asked for';
    case 'writes-stop':
      return 'writes wait for replicas';
    case 'blocked':
      return 'no failover: the instance must come back';
  }
}
