/** spec.failover.failback: back to a preferred instance, by a switchover, when all is calm. */
import type { InstanceName } from '../../api/cluster-state.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { publishedTags, switchoverCandidate } from '../switchover-candidate.ts';
import { currentRuntime, type Facts } from './facts.ts';
import { standingForce } from './forced-failover.ts';
import {
  eligibleForSwitchover,
  isAvailable,
  isOutdated,
  runningPrimary,
  surplusPods,
  wantedInstances,
} from './instances.ts';
import { opensInMs } from './maintenance.ts';
import { pendingRestarts } from './pending-restart.ts';
import { isPublished } from './wanted-definition.ts';

/** Shorter, and an instance that comes and goes would take the primary with it. */
export const failbackAfterMs = 300_000;
/** What has changed places a moment ago, by anybody's wish, is left there for a while. */
export const failbackPauseMs = 1_800_000;

export type Failback =
  | { readonly verdict: 'no' }
  /** Nothing but time is missing. */
  | { readonly verdict: 'wait'; readonly milliseconds: number }
  | { readonly verdict: 'now'; readonly from: InstanceName; readonly to: InstanceName };

const no: Failback = { verdict: 'no' };

export function judgeFailback(facts: Facts): Failback {
  const { metadata, spec } = facts.cluster;
  const runtime = currentRuntime(facts);
  if (spec.failover.failback === 'Never' || spec.paused || metadata.deletionTimestamp !== undefined || !runtime)
    return no;
  const from = runningPrimary(runtime);
  if (from === undefined || runtime.switchover || runtime.emergency || !isWhole(facts, runtime)) return no;
  // What a person has to look at is not to be covered up by a change of primary that looks clean.
  if (standingForce(runtime)) return no;
  const preferred = preferredTo(facts, runtime, from);
  if (preferred.length === 0) return no;
  const waits = [
    failbackAfterMs - Math.max(...preferred.map((instance) => facts.inSyncForMs.get(instance) ?? 0)),
    failbackPauseMs - facts.sinceSwitchoverRequestMs,
    failbackPauseMs - sinceSwitchoverMs(facts, runtime),
    opensInMs(facts.cluster, facts.now),
  ];
  const milliseconds = Math.min(Math.max(...waits), failbackPauseMs);
  if (milliseconds > 0) return { verdict: 'wait', milliseconds };
  const steady = preferred.filter((instance) => (facts.inSyncForMs.get(instance) ?? 0) >= failbackAfterMs);
  const to = switchoverCandidate(runtime, steady);
  return to === undefined ? no : { verdict: 'now', from, to };
}

/** All that is asked for is there and settled: what is under way may move the primary anyway. */
function isWhole(facts: Facts, runtime: ClusterRuntime): boolean {
  return (
    surplusPods(facts).length === 0 &&
    wantedInstances(facts).every((instance) => isAvailable(facts, runtime, instance)) &&
    !facts.pods.some((pod) => isOutdated(facts, pod)) &&
    pendingRestarts(facts, runtime).length === 0 &&
    isPublished(facts, runtime)
  );
}

/** The best members of the sync set, if better than the primary. The second best is not tried: it would be left again soon. */
function preferredTo(facts: Facts, runtime: ClusterRuntime, primary: InstanceName): readonly InstanceName[] {
  const eligible = eligibleForSwitchover(facts).filter(
    (instance) =>
      runtime.sync?.members.some((voter) => voter.instance === instance) === true &&
      !publishedTags(runtime, instance).noFailover,
  );
  const priority = (instance: InstanceName) => publishedTags(runtime, instance).priority;
  const best = Math.max(...eligible.map(priority));
  // A primary that should not lead (a person forced it) is worse than anybody.
  const { noFailover } = publishedTags(runtime, primary);
  return noFailover || best > priority(primary) ? eligible.filter((instance) => priority(instance) === best) : [];
}

/** From what etcd keeps, so that an operator that starts anew doesn't begin anew. */
function sinceSwitchoverMs(facts: Facts, { history }: ClusterRuntime): number {
  const last = history.findLast(({ reason }) => reason === 'Switchover');
  return last ? facts.now - Date.parse(last.at) : Infinity;
}
