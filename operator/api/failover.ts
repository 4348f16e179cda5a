/** `spec.failover`: which instances are preferred as primary, and which are held back. */
import { z } from 'zod';
import { described, matching, type Rule } from './rules.ts';

/** A value of a node label. */
const zonePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Up to three weeks; PostgreSQL counts in milliseconds of 31 bits. */
const delayPattern = /^([1-9][0-9]{0,5}s|[1-9][0-9]{0,3}m|[1-9][0-9]?h|[1-4][0-9]{2}h|[1-9]d|1[0-9]d|2[01]d)$/;
const secondsOf = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

export const delaySeconds = (delay: string): number =>
  Number(delay.slice(0, -1)) * secondsOf[delay.slice(-1) as keyof typeof secondsOf];

const InstanceOptions = z.object({
  // The number, not the name: a manifest then stays valid under another name, as kustomize and charts give it.
  ordinal: described(z.int().min(1).max(9), 'Which instance: 2 is <cluster>-2.'),
  priority: described(
    z.int().min(-100).max(100).default(0),
    'Among instances that may lead and hold all writes, the one with the highest priority does. All the same by default.',
  ),
  noFailover: described(
    z.boolean().default(false),
    'Never primary, unless a person forces it: for an instance on weaker hardware or far from its clients. It still acknowledges writes and votes.',
  ),
  noSync: described(
    z.boolean().default(false),
    'Its acknowledgement is never waited for: for an instance behind a slow link, which would slow down every write.',
  ),
  replayDelay: described(
    z.string().max(16).exactOptional(),
    'It stays so far behind on purpose, as in "1h" (s, m, h or d): what was deleted by mistake can still be read there. ' +
      'It receives the log at once, is never primary and never waited for, and Service -ro does not lead to it.',
    [matching(delayPattern, 'is no delay: write it as in 30m, 6h or 1d')],
  ),
});
export type InstanceOptions = z.output<typeof InstanceOptions>;

export const Failover = z.object({
  preferredZone: described(
    z.string().min(1).max(63).exactOptional(),
    'An instance on a node of this zone (label topology.kubernetes.io/zone) is preferred to any that is not, whatever their priorities: usually where the clients are.',
    [
      matching(
        zonePattern,
        'is no zone: write a value of the node label topology.kubernetes.io/zone, as in eu-west-1a',
      ),
    ],
  ),
  failback: described(
    z.enum(['Never', 'Automatic']).default('Never'),
    'Automatic: goes back by a switchover to a preferred instance (by zone, then by priority) once it has followed without a break for 5 minutes and all instances are there; ' +
      'not within 30 minutes of another planned change of primary. Never is the default, because each change of primary interrupts clients for a moment.',
  ),
  instances: described(
    z.array(InstanceOptions).max(9).default([]),
    'Instances that differ from the others.',
    [
      {
        cel: 'self.all(one, self.exists_one(other, other.ordinal == one.ordinal))',
        message: 'has one ordinal twice: keep one entry for each instance',
        holds: (self) => new Set(self.map(({ ordinal }) => ordinal)).size === self.length,
      },
    ],
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['ordinal'] },
  ),
});
export type Failover = z.output<typeof Failover>;

interface FailoverAmongOthers {
  readonly instances: number;
  readonly durability: {
    readonly mode?: 'Strict' | 'Preferred' | 'Async' | undefined;
    readonly acknowledgements: number;
  };
  readonly failover: { readonly instances: readonly InstanceOptions[] };
}

const unknownOrdinals = ({ instances, failover }: FailoverAmongOthers): readonly number[] =>
  failover.instances.map(({ ordinal }) => ordinal).filter((ordinal) => ordinal > instances);

const withoutNoSync = ({ instances, failover }: FailoverAmongOthers): number =>
  instances - failover.instances.filter(({ noSync, replayDelay }) => noSync || replayDelay !== undefined).length;

const isStrict = ({ instances, durability }: FailoverAmongOthers): boolean =>
  durability.mode === undefined ? instances >= 3 : durability.mode === 'Strict';

/** Rules of the spec as a whole: which instances there are, and what writes wait for, is said elsewhere in it. */
export const failoverRules: readonly Rule<FailoverAmongOthers>[] = [
  {
    cel: 'self.failover.instances.all(one, one.ordinal <= self.instances)',
    fieldPath: '.failover.instances',
    message: 'has an ordinal above spec.instances: remove the entry or raise spec.instances',
    messageCel:
      "'has ordinal %d but spec.instances is %d: remove the entry or raise spec.instances'.format([self.failover.instances.filter(one, one.ordinal > self.instances)[0].ordinal, self.instances])",
    holds: (self) => unknownOrdinals(self).length === 0,
    say: (self) =>
      `has ordinal ${unknownOrdinals(self)[0] ?? 0} but spec.instances is ${self.instances}: remove the entry or raise spec.instances`,
  },
  {
    cel: '!self.failover.instances.exists(one, one.noFailover || has(one.replayDelay)) || self.failover.instances.filter(one, one.noFailover || has(one.replayDelay)).size() < self.instances',
    fieldPath: '.failover.instances',
    message:
      'has noFailover for every instance (replayDelay implies it), so that none may lead: remove it from at least one',
    holds: ({ instances, failover }) =>
      failover.instances.length === 0 ||
      failover.instances.filter(({ noFailover, replayDelay }) => noFailover || replayDelay !== undefined).length <
        instances,
  },
  {
    // One of them may be the primary, which acknowledges nothing to itself.
    cel:
      '!self.failover.instances.exists(one, one.noSync || has(one.replayDelay)) || ' +
      "!(has(self.durability.mode) ? self.durability.mode == 'Strict' : self.instances >= 3) || " +
      'self.instances - self.failover.instances.filter(one, one.noSync || has(one.replayDelay)).size() > self.durability.acknowledgements',
    fieldPath: '.failover.instances',
    message:
      'noSync (replayDelay implies it) leaves too few instances for Strict, so that writes would wait for ever: remove noSync from one, or lower spec.durability.acknowledgements',
    messageCel:
      "'noSync (replayDelay implies it) leaves %d of %d instances, but Strict with %d acknowledgements needs one more than that many, or writes would wait for ever: remove noSync from one, or lower spec.durability.acknowledgements'.format([self.instances - self.failover.instances.filter(one, one.noSync || has(one.replayDelay)).size(), self.instances, self.durability.acknowledgements])",
    holds: (self) =>
      withoutNoSync(self) === self.instances ||
      !isStrict(self) ||
      withoutNoSync(self) > self.durability.acknowledgements,
    say: (self) =>
      `noSync (replayDelay implies it) leaves ${withoutNoSync(self)} of ${self.instances} instances, but Strict with ${self.durability.acknowledgements} acknowledgements needs one more than that many, or writes would wait for ever: remove noSync from one, or lower spec.durability.acknowledgements`,
  },
];
