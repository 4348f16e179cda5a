/**
 * When the PodDisruptionBudget is 0: while all Pods are ready, so that it would let one go, and a replica is still on its way
 * into the place of another. For a limited time: a drain must not wait for days for what does not come.
 */
import type { ClusterStatus } from '../../api/database-cluster.ts';
import { effectiveDurability } from '../../api/durability.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { switchoverCandidate } from '../switchover-candidate.ts';
import { currentRuntime, type Facts } from './facts.ts';
import { canSpare, podOf, runningPrimary, wantedInstances } from './instances.ts';

export type WithheldBudget = NonNullable<ClusterStatus['disruption']>;

/** What is over sooner changes no budget: Pods and etcd are not seen at the same moment, and each roll would change it twice. */
export const withheldAfterMs = 5_000;
/** A replica catches up in seconds as a rule; one that copies is not ready, and the budget counts it by itself. */
export const withheldForMs = 600_000;

/** As it shall stand in the status. `allowed` is 1 at first, and again once the time is up and nothing has changed. */
export function withheldBudget(facts: Facts): WithheldBudget | undefined {
  const before = facts.cluster.status.disruption;
  const runtime = currentRuntime(facts);
  // Nobody knows better: as it was, and no longer than it was meant to be.
  const risk = runtime ? riskOf(facts, runtime) : before;
  if (!risk || facts.cluster.spec.hibernated) return undefined;
  const isSame = before?.reason === risk.reason;
  const since = isSame ? Date.parse(before.since) : facts.now;
  const [from, until] = [since + withheldAfterMs, since + withheldForMs];
  return {
    allowed: facts.now >= from && facts.now < until ? 0 : 1,
    reason: risk.reason,
    message: risk.message,
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
  };
}

/** When time alone changes that. */
export function withheldChangesInMs(facts: Facts): number | undefined {
  const withheld = withheldBudget(facts);
  if (!withheld) return undefined;
  const moments = [Date.parse(withheld.since) + withheldAfterMs, Date.parse(withheld.until)];
  return moments.map((moment) => moment - facts.now).find((milliseconds) => milliseconds > 0);
}

function riskOf(facts: Facts, runtime: ClusterRuntime): Pick<WithheldBudget, 'reason' | 'message'> | undefined {
  const wanted = wantedInstances(facts);
  const primary = runningPrimary(runtime);
  const areReady = wanted.every((instance) => {
    const pod = podOf(facts, instance);
    return pod?.ready === true && !pod.deleting;
  });
  if (wanted.length < 2 || primary === undefined || !areReady) return undefined;
  // A drain that has begun is told of by its own event, and moves the primary by itself.
  const others = wanted.filter((instance) => instance !== primary);
  if (switchoverCandidate(runtime, others) === undefined)
    return {
      reason: 'NoSuccessor',
      message: `No replica could take over from ${primary} now: none follows it that may lead.`,
    };
  if (effectiveDurability(facts.cluster.spec).mode !== 'Strict') return undefined;
  const needed = (runtime.sync?.members ?? []).find(({ instance }) => !canSpare(facts, runtime, instance))?.instance;
  return needed === undefined
    ? undefined
    : {
        reason: 'SyncSetShort',
        message: `Without ${needed} writes would wait: no other replica is in the sync set in its place yet.`,
      };
}
