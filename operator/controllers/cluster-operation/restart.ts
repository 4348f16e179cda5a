/** Databases end cleanly and start anew in place: one that is named, or all, replicas first, the primary after a switchover. */
import { keys, type InstanceName, type OperationRecord } from '../../api/cluster-state.ts';
import {
  canSpare,
  eligibleForSwitchover,
  isAvailable,
  runningPrimary,
  wantedInstances,
} from '../database-cluster/instances.ts';
import { hasSettled } from '../database-cluster/pending-restart.ts';
import { publishedTags, switchoverCandidate } from '../switchover-candidate.ts';
import type { ClusterNow } from './facts.ts';
import { unknownInstance } from './instance.ts';
import type { Asked, Plan, Procedure } from './procedure.ts';

export const restart: Procedure = {
  waitsForOthers: true,

  plan({ restart: asked }, cluster): Plan {
    const { facts } = cluster;
    const wanted = wantedInstances(facts);
    const only = asked?.instance;
    const unknown = only === undefined ? undefined : unknownInstance(cluster, only);
    if (unknown !== undefined) return { verdict: 'refused', because: unknown };
    const targets = only === undefined ? wanted : [only];
    const next = nextStep(cluster, targets, []);
    if (next.verdict === 'nothing') return { verdict: 'nothing-to-do', message: 'There is no instance.' };
    return next.verdict === 'wait'
      ? { verdict: 'wait', because: next.because }
      : { verdict: 'begin', message: messageOf(next.asks), targets, asks: next.asks };
  },

  course(record, cluster, standing) {
    const { facts, runtime } = cluster;
    const { targets, done, request } = record;
    const about = request?.instance;
    if (about === undefined) return { verdict: 'failed', message: 'Its record is not whole.' };
    if (standing) return { verdict: 'running', message: messageOf({ key: request?.key ?? '', instance: about }) };
    const primary = runningPrimary(runtime);
    if (primary === undefined) return { verdict: 'running', message: 'A primary is being elected.' };
    const wasSwitchover = request?.key === keys.switchover;
    if (wasSwitchover && primary === about)
      return { verdict: 'failed', message: `${about} has become primary again, and is not restarted.` };
    if (!hasReturned(cluster, record) || !hasSettled(facts, runtime, primary, about))
      return { verdict: 'running', message: `Waiting until ${about} is back.` };
    const doneNow = wasSwitchover || done.includes(about) ? done : [...done, about];
    const next = nextStep(cluster, targets, doneNow);
    switch (next.verdict) {
      case 'nothing':
        return { verdict: 'complete', message: `Restarted: ${doneNow.join(', ')}.` };
      case 'wait':
        return { verdict: 'running', message: `Restarted: ${doneNow.join(', ') || 'none'}; ${next.because}.` };
      case 'ask':
        return { verdict: 'next', message: messageOf(next.asks), done: doneNow, asks: next.asks };
    }
  },

  mayTakeBack: () => true,
};

type Step =
  | { readonly verdict: 'nothing' }
  | { readonly verdict: 'wait'; readonly because: string }
  | { readonly verdict: 'ask'; readonly asks: Asked & { readonly instance: InstanceName } };

function nextStep(cluster: ClusterNow, targets: readonly InstanceName[], done: readonly InstanceName[]): Step {
  const { facts, runtime } = cluster;
  const wait = (because: string): Step => ({ verdict: 'wait', because });
  const wanted = wantedInstances(facts);
  const left = targets.filter((target) => wanted.includes(target) && !done.includes(target));
  if (left.length === 0) return { verdict: 'nothing' };
  const primary = runningPrimary(runtime);
  if (primary === undefined) return wait('nobody is primary');
  if (runtime.requests.has(keys.switchover)) return wait('a switchover is under way');
  const restarting = [...runtime.restarts.keys()];
  if (restarting.length > 0) return wait(`${restarting.join(', ')} is being restarted`);

  const isRolling = targets.length > 1;
  const behind = isRolling ? wanted.filter((instance) => !hasSettled(facts, runtime, primary, instance)) : [];
  if (behind.length > 0) return wait(`${behind.join(', ')} must follow first`);
  const replica = left.filter((instance) => instance !== primary).at(-1);
  if (replica === undefined) return isRolling ? primaryStep(cluster, primary) : inPlace(primary);
  if (!isAvailable(facts, runtime, replica)) return wait(`${replica} does not run and follow`);
  return canSpare(facts, runtime, replica) ? inPlace(replica) : wait(`writes would have to wait for ${replica}`);
}

/** By a switchover where anybody could take over, because that is shorter than a restart. */
function primaryStep({ facts, runtime }: ClusterNow, primary: InstanceName): Step {
  const others = wantedInstances(facts).filter((instance) => instance !== primary);
  if (others.every((instance) => publishedTags(runtime, instance).noFailover)) return inPlace(primary);
  const members = new Set(runtime.sync?.members.map(({ instance }) => instance));
  const to = switchoverCandidate(
    runtime,
    eligibleForSwitchover(facts).filter((instance) => members.has(instance)),
  );
  if (to === undefined) return { verdict: 'wait', because: `no replica could take over from ${primary}` };
  return { verdict: 'ask', asks: { key: keys.switchover, request: { from: primary, to }, instance: primary } };
}

const inPlace = (instance: InstanceName): Step => ({
  verdict: 'ask',
  asks: { key: keys.restart(instance), request: {}, instance },
});

const messageOf = ({ key, instance = '' }: Pick<Asked, 'key' | 'instance'>): string =>
  key === keys.switchover ? `${instance} is asked to hand over first.` : `${instance} is asked to restart.`;

/** What members tell of themselves may be of the moment before. */
const newsDelayMs = 2_000;

function hasReturned({ now, runtime }: ClusterNow, { request }: OperationRecord): boolean {
  const { answer } = runtime;
  return answer === undefined || answer.id !== request?.id || now - Date.parse(answer.at) >= newsDelayMs;
}
