import { createHash } from 'node:crypto';
import type { InstanceName, Voter } from '../../api/cluster-state.ts';
import type { SyncSet } from '../../ha/sync-set.ts';

export const replicationRole = 'mainstay_replication';
export const rewindRole = 'mainstay_rewind';
/** By the names of their passwords in the Secret `-system`. */
export const systemRoles = { replication: replicationRole, rewind: rewindRole } as const;

/** A name that no standby has: it makes every commit wait, and keeps the setting from ever being empty (pg-lab.md §3). */
export const nobody = 'mainstay_nobody';

/** PostgreSQL cuts longer names off in silence; an incarnation and the longest prefix below take nine bytes. */
const longest = 63 - 9;

/** The name itself where it fits, else its beginning and a digest; no instance's name holds an underscore. */
function fitted(instance: InstanceName): string {
  if (instance.length <= longest) return instance;
  const digest = createHash('sha256').update(instance).digest('hex').slice(0, 8);
  return `${instance.slice(0, longest - 1 - digest.length)}_${digest}`;
}

/** application_name of a replica: names the instance and the life of its data, so that a re-cloned one counts anew. */
export const standbyName = (voter: Voter): string => `${fitted(voter.instance)}:${voter.incarnation}`;

export const isStandbyName = (applicationName: string): boolean => /^[^:]+:[^:]+$/.test(applicationName);

/** Whose name it is, given the instances that there are; undefined for a client's. */
export function voterOf(applicationName: string, instances: readonly InstanceName[]): Voter | undefined {
  if (!isStandbyName(applicationName)) return undefined;
  const [name = '', incarnation = ''] = applicationName.split(':');
  return { instance: instances.find((instance) => fitted(instance) === name) ?? name, incarnation };
}

/** Slot names allow only lower case, digits and underscores. */
export const slotName = (instance: InstanceName): string =>
  `mainstay_${fitted(instance).replaceAll(/[^a-z0-9]/g, '_')}`;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** `synchronous_standby_names` for a sync set. With too few members, names that nobody has make commits wait. */
export function synchronousStandbyNames(sync: SyncSet): string {
  if (sync.acknowledgements === 0) return '';
  const names = sync.members.map(standbyName);
  while (names.length < sync.acknowledgements) names.push(nobody);
  return `ANY ${sync.acknowledgements} (${names.map(quoted).join(', ')})`;
}

/** Stricter than any `ANY k` of the same members, with priorities that show when it is in effect. */
export function everyStandbyName(sync: SyncSet): string {
  return `FIRST ${Math.max(sync.members.length, 1)} (${[nobody, ...sync.members.map(standbyName)].map(quoted).join(', ')})`;
}

/**
 * `synchronized_standby_slots` for a sync set: all its members, because any of them may be the next primary, and a subscriber
 * must not be ahead of it.
 */
export const synchronizedStandbySlots = (...sets: readonly Pick<SyncSet, 'members'>[]): string =>
  [...new Set(sets.flatMap(({ members }) => members.map(({ instance }) => slotName(instance))))].toSorted().join(', ');
