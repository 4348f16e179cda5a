import type { InstanceName, Member, Position, Tags } from '../api/cluster-state.ts';
import { compareLengths } from '../ha/position.ts';
import type { ClusterRuntime } from './cluster-runtime.ts';

/**
 * Who should take over in a planned change of primary: among the eligible replicas that stream and may lead, a member of
 * the sync set before others, then by priority, then the one with most of the log, then by name. Undefined if nobody can.
 */
export function switchoverCandidate(
  runtime: ClusterRuntime,
  eligible: readonly InstanceName[],
): InstanceName | undefined {
  const acknowledging = new Set(runtime.sync?.members.map((voter) => voter.instance));
  return eligible
    .filter(
      (name) =>
        name !== runtime.leader?.instance &&
        isWell(runtime.members.get(name)) &&
        !publishedTags(runtime, name).noFailover,
    )
    .map((name) => ({
      name,
      acknowledges: acknowledging.has(name),
      position: runtime.members.get(name)?.position,
    }))
    .sort(
      (a, b) =>
        Number(b.acknowledges) - Number(a.acknowledges) ||
        publishedTags(runtime, b.name).priority - publishedTags(runtime, a.name).priority ||
        byLength(b.position, a.position) ||
        (a.name < b.name ? -1 : 1),
    )
    .at(0)?.name;
}

const untagged: Tags = { priority: 0, noFailover: false, noSync: false };

/** As the agents know them. */
export const publishedTags = (runtime: ClusterRuntime, instance: InstanceName): Tags =>
  runtime.definition?.tags[instance] ?? untagged;

/** Follows, and could serve. */
export const isWell = (member: Member | undefined): boolean =>
  member?.state === 'streaming' && member.failing === undefined;

function byLength(a: Position | undefined, b: Position | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return compareLengths(a, b);
}
