/** The ClusterOperation resource: something done once to a cluster because somebody asked. The one source of its CRD and types. */
import { z } from 'zod';
import { ClusterOperationStatusSchema } from './cluster-operation-status.ts';
import type { DeepReadonly } from './deep-readonly.ts';
import { objectMeta } from './object-meta.ts';
import { apiVersion } from './api-group.ts';
import { parseResource } from './parse-resource.ts';
import { described, type Rule } from './rules.ts';

const instance = z.string().min(1).max(63);

const members = {
  switchover: described(
    z
      .object({
        to: described(instance.exactOptional(), 'Who shall become primary; the fittest replica if absent.'),
      })
      .exactOptional(),
    'Options of a Switchover.',
  ),
  restart: described(
    z
      .object({
        instance: described(
          instance.exactOptional(),
          'The one to restart, the primary in place. If absent: all, one after the other, replicas first, the primary after a switchover.',
        ),
      })
      .exactOptional(),
    'Options of a Restart.',
  ),
  reinitialize: described(
    z.object({ instance: described(instance, 'A replica.') }).exactOptional(),
    'Options of a Reinitialize.',
  ),
  fence: described(
    z
      .object({
        instance: described(instance, 'Whose database shall be stopped.'),
        acceptOutage: described(
          z.boolean().default(false),
          'Fence it although writes then stop, wait, or are on fewer replicas than asked for.',
        ),
      })
      .exactOptional(),
    'Options of a Fence.',
  ),
  unfence: described(
    z.object({ instance: described(instance, 'Whose database shall run again.') }).exactOptional(),
    'Options of an Unfence.',
  ),
  upgrade: described(
    z
      .object({
        to: described(z.enum(['18']), 'Major version to upgrade to.'),
        transfer: described(
          z.enum(['Copy', 'Clone', 'Link']).default('Copy'),
          'How data files get into the new version. Copy: needs as much free space again. Clone: shares blocks, where the file system can (XFS, Btrfs). ' +
            'Link: the files themselves, so that the old version is no way back once the new one has served. Copy is the default because it works everywhere and keeps the way back.',
        ),
      })
      .exactOptional(),
    'Options of an Upgrade.',
  ),
  failover: described(
    z
      .object({
        to: described(instance, 'Who shall lead.'),
        acceptDataLoss: described(
          z.boolean().default(false),
          'Acknowledged writes that only the missing instances hold may be lost for good. Without it, a failover that could lose any is refused, and the refusal says how much.',
        ),
        othersAreOff: described(
          z.boolean().default(false),
          'You have made sure that the missing instances are off and stay off until they can see the others again.',
        ),
      })
      .exactOptional(),
    'Options of a Failover.',
  ),
  adopt: described(
    z
      .object({
        etcdClusterId: described(
          z.string().min(1).max(32),
          'The etcd that is meant, by its cluster id, a decimal number. Another is refused, and the refusal names the one that the operator sees.',
        ),
        without: described(
          z.array(instance).max(18).default([]),
          'Instances that are gone for good. Acknowledged writes that only they hold are lost.',
          [],
          { 'x-kubernetes-list-type': 'set' },
        ),
      })
      .exactOptional(),
    'Options of an Adopt.',
  ),
};

export type OperationType = z.output<typeof OperationType>;
const OperationType = z.enum([
  'Switchover',
  'Restart',
  'Reinitialize',
  'Fence',
  'Unfence',
  'Upgrade',
  'Failover',
  'Adopt',
]);

/** Which options belong to which type, and whether the type can do without. */
const options: readonly {
  readonly type: OperationType;
  readonly member: keyof typeof members;
  readonly needed: boolean;
}[] = [
  { type: 'Switchover', member: 'switchover', needed: false },
  { type: 'Restart', member: 'restart', needed: false },
  { type: 'Reinitialize', member: 'reinitialize', needed: true },
  { type: 'Fence', member: 'fence', needed: true },
  { type: 'Unfence', member: 'unfence', needed: true },
  { type: 'Upgrade', member: 'upgrade', needed: true },
  { type: 'Failover', member: 'failover', needed: true },
  { type: 'Adopt', member: 'adopt', needed: true },
];

type Union = { readonly type: OperationType } & { readonly [Member in keyof typeof members]?: unknown };

const optionRules: readonly Rule<Union>[] = options.flatMap(({ type, member, needed }) => [
  {
    cel: `!has(self.${member}) || self.type == '${type}'`,
    fieldPath: `.${member}`,
    message: `belongs to operations of type ${type}: remove it, or change spec.type`,
    holds: (self) => self[member] === undefined || self.type === type,
  },
  ...(needed
    ? [
        {
          cel: `self.type != '${type}' || has(self.${member})`,
          fieldPath: '.type',
          message: `${type} needs spec.${member}`,
          holds: (self: Union) => self.type !== type || self[member] !== undefined,
        },
      ]
    : []),
]);

const fields = {
  clusterRef: described(
    z.object({
      kind: described(z.enum(['PostgresCluster', 'MySQLCluster']).default('PostgresCluster'), 'Kind of the cluster.'),
      name: described(z.string().min(1).max(63), 'Name of the cluster, in the same namespace.'),
    }),
    'The cluster to work on.',
  ),
  type: described(
    OperationType,
    'Switchover: a planned change of primary. ' +
      'Restart: databases end cleanly and start anew in place; their Pods stay. ' +
      'Reinitialize: a replica clones anew, beside its old data. ' +
      'Fence: one database is stopped and stays so until Unfence, whatever restarts its Pod; a primary hands over first. ' +
      'Upgrade: to the next major version (PostgreSQL only), by the primary from its data; replicas are then copied from it. ' +
      'Failover: somebody shall lead although nobody can prove to hold every acknowledged write. ' +
      'Adopt: etcd was restored or replaced, and the cluster shall go on with this one.',
  ),
  ...members,
  reason: described(z.string().min(1).max(256).exactOptional(), 'Why, for those who read the history.'),
  dryRun: described(
    z.boolean().default(false),
    'Only says in status whether it would be begun now, and what it would do.',
  ),
  deadlineSeconds: described(
    z.int().min(5).max(604_800).exactOptional(),
    'Seconds from its creation within which it must be over. One that can’t begin by then never does; one under way is taken back where that is safe. ' +
      'Default: 60 for Switchover, Fence and Failover, 600 for Unfence and Adopt, 3600 for Restart, 14400 for Upgrade, 86400 for Reinitialize.',
  ),
  ttlSecondsAfterFinished: described(
    z.int().min(0).max(31_536_000).exactOptional(),
    'Seconds after its end when the object is deleted; kept for ever if absent. Leave it out where Git holds the object, or Git would make it anew (that would not carry it out again).',
  ),
};

const upgradeRule: Rule<{ readonly type: OperationType; readonly clusterRef: { readonly kind: string } }> = {
  cel: "!(self.type == 'Upgrade' && self.clusterRef.kind == 'MySQLCluster')",
  fieldPath: '.type',
  message: 'Upgrade is for a PostgresCluster: for MySQL see docs/mysql.md, Upgrades',
  holds: ({ type, clusterRef }) => !(type === 'Upgrade' && clusterRef.kind === 'MySQLCluster'),
};

/** Anything but `abort` stays as it was made. */
const frozen: Rule<unknown> = {
  cel: Object.keys(fields)
    .map(
      (field) =>
        `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
    )
    .join(' && '),
  message: 'an operation can’t be changed, only aborted (spec.abort: true): make another one with another name',
};

const Spec = z.object({
  ...fields,
  abort: described(
    z.boolean().default(false),
    'Set it to true to call the operation off: one that waits never begins, one under way is taken back where that is safe. Deleting the object does the same.',
    [
      {
        cel: 'self || !oldSelf',
        message: 'an operation that was called off stays so: make another one with another name',
      },
    ],
  ),
});

export const ClusterOperationResource = described(
  z.object({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('ClusterOperation'),
    metadata: z.object(objectMeta),
    spec: described(Spec, 'What is wanted; it can’t be changed, only aborted.', [...optionRules, upgradeRule, frozen]),
    status: described(ClusterOperationStatusSchema.prefault({}), 'What became of it; written by the operator only.'),
  }),
  'Something done once to a cluster. It is carried out at most once per name, whatever is applied or restored again; the object stays as its history.',
);

/** An operation with all defaults filled in. */
export type ClusterOperation = DeepReadonly<z.output<typeof ClusterOperationResource>>;
export type ClusterOperationSpec = ClusterOperation['spec'];
export type ClusterOperationStatus = ClusterOperation['status'];

/** Reads a resource as the API server or a file has it, filling defaults; throws ResourceInvalid with every problem found. */
export const parseClusterOperation = (value: unknown): ClusterOperation =>
  parseResource('ClusterOperation', ClusterOperationResource, value);

const defaultDeadlineSeconds: Readonly<Record<OperationType, number>> = {
  Switchover: 60,
  Restart: 3600,
  Reinitialize: 86_400,
  Fence: 60,
  Unfence: 600,
  Upgrade: 14_400,
  Failover: 60,
  Adopt: 600,
};

/** Wall-clock milliseconds by which it must be over. */
export function deadlineOf({ metadata, spec }: ClusterOperation): number {
  return (
    Date.parse(metadata.creationTimestamp ?? '') + (spec.deadlineSeconds ?? defaultDeadlineSeconds[spec.type]) * 1000
  );
}
