import type { InstanceName, Position, PromiseRecord, SyncState, Voter } from '../api/cluster-state.ts';
import { comparePositions, parseLsn } from './position.ts';
import { promisesFor, sameVoter } from './takeover.ts';
import type { ClusterView } from './view.ts';

export interface WritesAtRisk {
  /** Instances that may hold acknowledged writes which the candidate lacks. */
  readonly missing: readonly InstanceName[];
  /** Bytes of log that one of them is known to have had beyond the candidate's; what it received later is not known. */
  readonly bytes: number;
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
    return !promise || comparePositions(promise.position, candidate.position) > 0;
  });
  const beyond = missing.map(({ instance }) => {
    const last = promises.find((p) => p.instance === instance)?.position ?? lastPositions.get(instance);
    if (!last || comparePositions(last, candidate.position) <= 0) return 0;
    return Math.max(0, Number(parseLsn(last.lsn) - parseLsn(candidate.position.lsn)));
  });
  const bytes = Math.max(0, ...beyond);
  return {
    missing: [...new Set(missing.map(({ instance }) => instance))],
    bytes,
    mayStillServe: sync !== undefined && mayStillServe(sync, promises),
    text: `${bytes} bytes of log are known to be beyond ${candidate.position.lsn}, and writes since then may be more`,
  };
}

function mayStillServe(sync: SyncState, promises: readonly PromiseRecord[]): boolean {
  const silent = (voter: Voter): boolean => !promises.some((promise) => sameVoter(promise, voter));
  const { primary, members, acknowledgements } = sync;
  return acknowledgements > 0 && silent(primary) && members.filter(silent).length >= acknowledgements;
}
