import type { Txn } from '../state.ts';
import type { ClusterView } from '../view.ts';
import type { MemberAction, MemberDecision, MemberFacts, Purpose } from './state.ts';

/** Facts with a view of etcd. */
export type Known = MemberFacts & { readonly view: ClusterView };

export const wait = (because: string): MemberDecision => ({ action: { type: 'wait' }, because });
export const act = (because: string, action: MemberAction): MemberDecision => ({ action, because });

export function transact({ lease }: MemberFacts, because: string, purpose: Purpose, txn: Txn): MemberDecision {
  const leased = txn.writes.some((write) => 'leased' in write && write.leased);
  return leased && lease === undefined ? wait(because) : act(because, { type: 'txn', purpose, txn });
}
