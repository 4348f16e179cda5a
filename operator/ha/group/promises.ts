/**
 * Who may form a group after all members have left the last one. A promise says: this instance has left every group before the
 * one of that number, will never again be in one, and its log ends there. Only when all have promised can no group be alive, and
 * only the log that contains all others has everything that was acknowledged: members acknowledge from memory, so that a majority
 * of the disks would not do.
 */
import type { InstanceName, PromiseRecord } from '../../api/cluster-state.ts';
import { contains, parseGtidSet, type GtidSet } from '../gtid-set.ts';
import { tagsOf } from '../successor.ts';
import type { ClusterView } from '../view.ts';

export type Forming =
  | { readonly verdict: 'may'; readonly instance: InstanceName }
  /** Whose word is needed, and not there. */
  | { readonly verdict: 'wait'; readonly missing: readonly InstanceName[] }
  /** Each of the two holds what the other lacks: nobody can say which to go on with. */
  | { readonly verdict: 'diverged'; readonly between: readonly [InstanceName, InstanceName] };

export const nextNumber = (view: ClusterView): number => (view.group?.value.number ?? 0) + 1;

/** Those that exist, and those that were members when the group was last seen whole. */
export function electorate(view: ClusterView): readonly InstanceName[] {
  const sync = view.sync?.value;
  const recorded = sync ? [sync.primary, ...sync.members].map(({ instance }) => instance) : [];
  return [...new Set([...(view.definition?.instances ?? []), ...recorded])].sort();
}

/** Given for the next group, by the data that were members of the last. */
export function promiseOf(view: ClusterView, instance: InstanceName): PromiseRecord | undefined {
  const promise = view.promises.get(instance)?.value;
  if (promise?.epoch !== nextNumber(view)) return undefined;
  const recorded = view.sync && [view.sync.value.primary, ...view.sync.value.members];
  const former = recorded?.find((voter) => voter.instance === instance);
  // A new volume knows nothing of what the lost one held.
  return former === undefined || former.incarnation === promise.incarnation ? promise : undefined;
}

const gtidsIn = ({ position }: PromiseRecord): GtidSet => parseGtidSet('gtids' in position ? position.gtids : '');

export function judgeForming(view: ClusterView): Forming {
  const voters = electorate(view);
  const missing = voters.filter((instance) => promiseOf(view, instance) === undefined);
  return missing.length > 0 ? { verdict: 'wait', missing } : longest(view, voters);
}

/** Among those that have promised. */
export function longest(view: ClusterView, among: readonly InstanceName[]): Forming {
  const logs = among.flatMap((instance) => {
    const promise = promiseOf(view, instance);
    return promise ? [{ instance, gtids: gtidsIn(promise) }] : [];
  });
  const best = logs
    // One without data has nothing to form a group of.
    .filter(({ gtids }) => gtids.size > 0)
    .toSorted(
      (a, b) =>
        tagsOf(view, b.instance).priority - tagsOf(view, a.instance).priority ||
        a.instance.localeCompare(b.instance, 'en'),
    );
  const whole = best.find(({ gtids }) => logs.every((other) => contains(gtids, other.gtids)));
  if (whole) return { verdict: 'may', instance: whole.instance };
  for (const one of best) {
    const other = best.find(({ gtids }) => !contains(gtids, one.gtids) && !contains(one.gtids, gtids));
    if (other) return { verdict: 'diverged', between: [one.instance, other.instance] };
  }
  return { verdict: 'wait', missing: among };
}

/** Members that live in the present group, in touch with its majority, by their own word. */
export const takingPart = (view: ClusterView): readonly InstanceName[] =>
  [...view.members.values()]
    .filter(({ group }) => group?.taking === true && group.number === view.group?.value.number)
    .map(({ instance }) => instance)
    .sort();
