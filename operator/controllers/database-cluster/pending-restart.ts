/** Settings that wait for a restart: whose turn is next. Replicas first, one at a time, then the primary by a switchover. */
import type { InstanceName } from '../../api/cluster-state.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { publishedTags, switchoverCandidate } from '../switchover-candidate.ts';
import { currentRuntime, type Facts } from './facts.ts';
import {
  canSpare,
  eligibleForSwitchover,
  isAvailable,
  isOutdated,
  runningPrimary,
  wantedInstances,
} from './instances.ts';

export interface PendingRestart {
  readonly instance: InstanceName;
  readonly parameters: readonly string[];
}

export type NextRestart =
  | { readonly verdict: 'nothing' }
  | { readonly verdict: 'wait'; readonly message: string }
  /** In place: a replica; or a primary that nobody can stand in for, or whose values the replicas must not go below. */
  | { readonly verdict: 'restart'; readonly instance: InstanceName }
  | { readonly verdict: 'switchover'; readonly from: InstanceName };

/** An instance that is broken must not hold back a change of settings for longer, even if writes then wait for a restart. */
export const absencePatienceMs = 300_000;
/** One that waits for the same again just after its restart is left alone for a while. */
export const restartPauseMs = 60_000;

export function pendingRestarts(facts: Facts, runtime: ClusterRuntime): readonly PendingRestart[] {
  return wantedInstances(facts).flatMap((instance) => {
    const parameters = runtime.members.get(instance)?.pendingRestart ?? [];
    return parameters.length === 0 ? [] : [{ instance, parameters }];
  });
}

export function nextRestart(facts: Facts): NextRestart {
  const runtime = currentRuntime(facts);
  const pending = runtime ? pendingRestarts(facts, runtime).map(({ instance }) => instance) : [];
  if (!runtime || pending.length === 0) return { verdict: 'nothing' };
  const wait = (message: string): NextRestart => ({ verdict: 'wait', message });
  const primary = runningPrimary(runtime);
  if (primary === undefined) return wait('there is no primary now');
  const asked = [...runtime.restarts.keys()];
  if (asked.length > 0) return wait(`${asked.join(', ')} is being restarted`);
  const refusing = [...runtime.members.values()].find(({ settingsRefused }) => settingsRefused !== undefined);
  if (refusing) return wait(`${refusing.instance} refuses the settings`);
  if (runtime.switchover) return wait('a switchover is under way');
  if (facts.pods.some((pod) => pod.deleting || isOutdated(facts, pod))) return wait('Pods are being replaced');

  const behind = wantedInstances(facts).filter((instance) => !hasSettled(facts, runtime, primary, instance));
  const isPatient = missingForMs(facts) < absencePatienceMs;
  if (behind.length > 0 && isPatient) return wait(`${behind.join(', ')} must follow in the sync set first`);
  const present = pending.filter((instance) => isAvailable(facts, runtime, instance));
  const replica = present.filter((instance) => instance !== primary).at(-1);
  const instance = replica ?? present.find((candidate) => candidate === primary);
  if (instance === undefined) return wait(`${pending.join(', ')} must be back first`);
  if (wasJustRestarted(facts, runtime, instance)) return wait(`${instance} was restarted a moment ago`);
  if (instance !== primary)
    return canSpare(facts, runtime, instance) || !isPatient
      ? { verdict: 'restart', instance }
      : wait(`writes would have to wait for ${instance}`);
  const others = wantedInstances(facts).filter((other) => other !== primary);
  const alone = others.every((other) => publishedTags(runtime, other).noFailover);
  if (alone || runtime.members.get(primary)?.restartInPlace === true) return { verdict: 'restart', instance: primary };
  return switchoverCandidate(runtime, eligibleForSwitchover(facts)) === undefined
    ? wait(`no replica could take over from ${primary}`)
    : { verdict: 'switchover', from: primary };
}

/** Has been given the settings, and follows (in the sync set, if it may be a member) or leads. */
export function hasSettled(
  facts: Facts,
  runtime: ClusterRuntime,
  primary: InstanceName,
  instance: InstanceName,
): boolean {
  if (!isAvailable(facts, runtime, instance)) return false;
  const generation = runtime.members.get(instance)?.generation;
  if (generation !== undefined && generation < (runtime.definition?.generation ?? 0)) return false;
  const counts = (runtime.sync?.acknowledgements ?? 0) > 0 && !publishedTags(runtime, instance).noSync;
  const isMember = runtime.sync?.members.some((voter) => voter.instance === instance) ?? false;
  return instance === primary || !counts || isMember;
}

function missingForMs({ cluster, now }: Facts): number {
  const degraded = cluster.status.conditions?.find(({ type }) => type === 'Degraded');
  return degraded?.reason === 'InstancesMissing' ? now - Date.parse(degraded.lastTransitionTime) : 0;
}

export const restartId = (instance: InstanceName, now: number): string => `parameters-${instance}-${now}`;

function wasJustRestarted({ now }: Facts, { answer }: ClusterRuntime, instance: InstanceName): boolean {
  return answer?.id.startsWith(`parameters-${instance}-`) === true && now - Date.parse(answer.at) < restartPauseMs;
}
