import type { InstanceName, Member } from '../api/cluster-state.ts';

/**
 * Whether an agent without TLS is heard by the one of `own`. Those of earlier versions know no better, and have to be heard
 * while a cluster is upgraded; and nobody can know that `own` hears by TLS before `own` has told it. `from`: who gives its
 * word; undefined for a mere question, which anybody could ask.
 */
export function mayAskPlainly(
  members: ReadonlyMap<InstanceName, Member> | undefined,
  own: InstanceName,
  from: InstanceName | undefined,
): boolean {
  if (!members?.get(own)?.agentTls) return true;
  const asking = from === undefined ? [...members.values()] : [members.get(from)];
  return asking.some((member) => member !== undefined && !member.agentTls);
}
