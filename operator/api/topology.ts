/** `spec.topology` and `spec.group`: who decides which instance is primary, Mainstay's agents or MySQL's own group. */
import { z } from 'zod';
import type { Durability } from './durability.ts';
import type { InstanceOptions } from './failover.ts';
import { described, type Rule } from './rules.ts';

const isTheSame = (what: string): Rule<unknown> => ({
  cel: 'self == oldSelf',
  message: `can’t be changed: ${what} Restore the old value, or make a new cluster and move the data`,
});

export const topology = described(
  z.enum(['Replicas', 'Group']).default('Replicas'),
  'Replicas: one primary and semi-synchronous replicas; the agents elect, and are back in about two seconds. ' +
    'Group: MySQL Group Replication, whose members elect by themselves and agree on each write by majority; a lost primary costs about seven seconds. ' +
    'Replicas is the default because a write that was acknowledged is on the disks of two instances, where a group only has it in the memory of a majority. Can’t be changed.',
  [isTheSame('the data know by whom they are replicated.')],
);

export const Group = z.object({
  mode: described(
    z.enum(['SinglePrimary', 'MultiPrimary']).default('SinglePrimary'),
    'SinglePrimary: one member accepts writes. MultiPrimary: all do (active-active), and of two that change the same row at once the later one fails when it commits. ' +
      'SinglePrimary is the default because few applications repeat such commits. Can’t be changed.',
    [isTheSame('all members must agree on it.')],
  ),
});

export type Topology = z.output<typeof topology>;

interface Spec {
  readonly topology: Topology;
  readonly group: z.output<typeof Group>;
  readonly instances: number;
  readonly durability: Pick<z.output<typeof Durability>, 'mode' | 'acknowledgements'>;
  readonly failover: { readonly failback: string; readonly instances: readonly InstanceOptions[] };
  readonly mysql: { readonly parameters: Readonly<Record<string, string>> };
}

const inGroup = (field: string, test: string, message: string, holds: (spec: Spec) => boolean): Rule<Spec> => ({
  cel: `self.topology != 'Group' || (${test})`,
  fieldPath: field,
  message,
  holds: (self) => self.topology !== 'Group' || holds(self),
});

/** Rules of the spec as a whole: what has no meaning in a group is refused rather than ignored. */
export const topologyRules: readonly Rule<Spec>[] = [
  inGroup(
    '.instances',
    'self.instances != 2',
    'must not be 2 with topology Group, because a group of two has no majority without either of them: use 3 (or 1 for trials)',
    ({ instances }) => instances !== 2,
  ),
  inGroup(
    '.durability',
    '!has(self.durability.mode) && self.durability.acknowledgements == 1',
    'has no meaning with topology Group, whose majority agrees on each write: remove it, or use topology Replicas',
    ({ durability }) => durability.mode === undefined && durability.acknowledgements === 1,
  ),
  inGroup(
    '.failover.instances',
    '!self.failover.instances.exists(one, one.noFailover || one.noSync || has(one.replayDelay))',
    'can’t have noFailover, noSync or replayDelay with topology Group, whose members all vote, acknowledge and may be elected: use priority, or topology Replicas',
    ({ failover }) =>
      !failover.instances.some(
        ({ noFailover, noSync, replayDelay }) => noFailover || noSync || replayDelay !== undefined,
      ),
  ),
  {
    cel: "self.topology == 'Group' || self.group.mode == 'SinglePrimary'",
    fieldPath: '.group.mode',
    message: 'MultiPrimary needs topology Group: set spec.topology, or remove spec.group',
    holds: ({ topology: of, group }) => of === 'Group' || group.mode === 'SinglePrimary',
  },
  {
    cel: "self.topology == 'Group' || !self.mysql.parameters.exists(name, name.startsWith('group_replication_'))",
    fieldPath: '.mysql.parameters',
    message: 'variables of Group Replication need topology Group: remove them, or set spec.topology',
    holds: ({ topology: of, mysql }) =>
      of === 'Group' || !Object.keys(mysql.parameters).some((name) => name.startsWith('group_replication_')),
  },
];
