import type { InstanceName, Position, PromiseRecord, SyncState, Voter } from '../api/cluster-state.ts';
import { lackOf, notAbove, positionText } from './position.ts';
import { promisesFor, sameVoter } from './takeover.ts';
import type { ClusterView } from './view.ts';

export interface WritesAtRisk {
  /** Instances that may hold acknowledged writes which the candidate lacks. */
  readonly missing: readonly InstanceName[];
  /** Bytes of log, or transactions, that one of them is known to have had beyond the candidate's; what it received later is not known. */
  readonly amount: number;
  /** The former primary, and enough members to let it serve without etcd (rule 9), have promised nothing. */
  readonly mayStillServe: boolean;
  readonly text: string;
}

/** What would be lost if `candidate` led now: what the absent, or those with a longer log, are known to have had. */
export function writesAtRisk(
  view: ClusterView,
  candidate: PromiseRecord,
  lastPositions: ReadonlyMap<InstanceName, Position>,
): WritesAtRisk {
  const sync = view.sync?.value;
  const promises = promisesFor(view, view.epoch + 1);
  const missing = (sync ? [sync.primary, ...sync.members] : []).filter((voter) => {
    const promise = promises.find((p) => sameVoter(p, voter));
    return !promise || !notAbove(promise.position, candidate.position);
  });
  const beyond = missing.map(({ instance }) => {
    const last = promises.find((p) => p.instance === instance)?.position ?? lastPositions.get(instance);
    return last === undefined || notAbove(last, candidate.position) ? 0 : lackOf(last, candidate.position).amount;
  });
  const amount = Math.max(0, ...beyond);
  const what = lackOf(candidate.position, candidate.position).of === 'bytes' ? 'bytes of log' : 'transactions';
  return {
    missing: [...new Set(missing.map(({ instance }) => instance))],
    amount,
    mayStillServe: sync !== undefined && mayStillServe(sync, promises),
    text: `${amount} ${what} are known to be beyond ${positionText(candidate.position)}, and writes since then may be more`,
  };
}

function mayStillServe(sync: SyncState, promises: readonly PromiseRecord[]): boolean {
  const silent = (voter: Voter): boolean => !promises.some((promise) => sameVoter(promise, voter));
  const { primary, members, acknowledgements } = sync;
  return acknowledgements > 0 && silent(primary) && members.filter(silent).length >= acknowledgements;
}
