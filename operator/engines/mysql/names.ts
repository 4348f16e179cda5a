/** Accounts, server identifiers and the sources of our own transactions. */
import { randomBytes } from 'node:crypto';
import type { InstanceName, Voter } from '../../api/cluster-state.ts';
import type { GtidSet } from '../../ha/gtid-set.ts';
import { MainstayError } from '../../platform/errors.ts';

/** No account of a user's may begin so. */
export const reservedPrefix = 'mainstay';
/** Of the agent, over the socket, by the operating system's user. */
export const agentAccount = 'mainstay';
export const cloneAccount = 'mainstay_clone';
/** With which members of a replication group talk to each other. */
export const groupAccount = 'mainstay_group';

/**
 * Each instance has two: one with which its acknowledgements count, shut out where it is no member of the sync set, and one
 * with which it only receives. Each is the instance's own, so that one can be shut out by name (mysql-lab.md §1).
 */
export const syncAccount = (instance: InstanceName): string => `mainstay_sync_${ordinalOf(instance)}`;
export const asyncAccount = (instance: InstanceName): string => `mainstay_async_${ordinalOf(instance)}`;

/** `orders-3` → 3. An instance under another server_id would count twice (mysql-lab.md §2), so it is never anything else. */
export function ordinalOf(instance: InstanceName): number {
  const ordinal = Number(/-(\d+)$/.exec(instance)?.[1]);
  if (!Number.isInteger(ordinal) || ordinal < 1)
    throw new MainstayError(
      'ConfigurationInvalid',
      `No number of 1 or more at the end of the instance’s name ${instance}`,
    );
  return ordinal;
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

/**
 * A server's own: begins with the incarnation, by which a primary knows whose data it feeds; the rest is never the same again,
 * so that no number is given twice after a tail was cut.
 */
export const newServerUuid = (incarnation: string): string =>
  `${incarnation.slice(0, 8)}-${hex(2)}-4${hex(2).slice(1)}-8${hex(2).slice(1)}-${hex(6)}`;

/** Who is connected, by account and server_uuid, given the instances that there are. */
export function voterOf(account: string, serverUuid: string, instances: readonly InstanceName[]): Voter | undefined {
  const ordinal = Number(/^mainstay_a?sync_(\d+)$/.exec(account)?.[1]);
  const instance = instances.find((name) => ordinalOf(name) === ordinal);
  return instance === undefined ? undefined : { instance, incarnation: serverUuid.slice(0, 8) };
}

// ---- our own transactions ---------------------------------------------------------------------------------------------

/** "mainstay" in hexadecimal, so that a set of GTIDs says which cluster it is of. */
const ours = '6d61696e-7374-6179';

/** Of a cluster's data; the source of its markers, one empty transaction for each timeline: `<it>:<timeline>`. */
export const newSystemIdentifier = (): string => `${ours}-8${hex(2).slice(1)}-${hex(6)}`;

/** The source of empty transactions that only have to be acknowledged; numbered without gaps, as gaps would make all sets longer. */
export const beatSource = (systemIdentifier: string): string =>
  `${systemIdentifier.slice(0, ours.length + 1)}9${systemIdentifier.slice(ours.length + 2)}`;

export const isOurs = (source: string): boolean => source.startsWith(`${ours}-`);

/** The cluster whose log this is. */
export const systemIn = (gtids: GtidSet): string | undefined =>
  [...gtids.keys()].find((source) => source.startsWith(`${ours}-8`));

/** "group" in hexadecimal: every transaction of a group has such a source, with the cluster in the middle and its number at the end. */
const groups = '67726f75';

/** A name of its own for each bootstrap: members of two groups can't meet, and no GTID can be given by both. */
export function groupName(systemIdentifier: string, number: number): string {
  const cluster = systemIdentifier.slice(-7);
  return `${groups}-${cluster.slice(0, 4)}-4${cluster.slice(4)}-8000-${number.toString(16).padStart(12, '0')}`;
}

/** 0 for what is no such name. */
export const numberOfGroup = (name: string): number =>
  name.startsWith(`${groups}-`) ? Number.parseInt(name.slice(-12), 16) : 0;
