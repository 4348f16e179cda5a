/** What the specs of all kinds of clusters have in common, word for word. */
import { z } from 'zod';
import { apiVersion } from './api-group.ts';
import { logLevels } from './cluster-state.ts';
import { Durability } from './durability.ts';
import { disruption, networkPolicy } from './disruption.ts';
import { Failover, failoverRules } from './failover.ts';
import { labelKey, labelKeys, labelMap, labelValue, labelValues, objectName } from './kubernetes-names.ts';
import { maintenance } from './maintenance.ts';
import { objectMeta } from './object-meta.ts';
import { quantityPattern, quantityValue } from './quantity.ts';
import { Replication } from './replication.ts';
import { described, matching, type Rule } from './rules.ts';

const imageReference = /^[a-zA-Z0-9][a-zA-Z0-9._:@/-]*$/;
const minimumStorage = '512Mi';
/** Leaves room for "-<n>" and for the suffixes of Services and volumes within a DNS label. */
const clusterNamePattern = /^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$/;

const quantity = z
  .union([z.int().min(0), z.string().max(32).regex(quantityPattern)])
  .meta({ 'x-kubernetes-int-or-string': true });

/** Of what is written as a number, which the schema of such a field can't bound. */
const amount: Rule<unknown> = {
  cel: `type(self) != int || (self >= 0 && self <= ${Number.MAX_SAFE_INTEGER})`,
  message: 'is no amount: write it as in 2 or "500Mi"',
};
const share = (what: string) =>
  described(quantity.exactOptional(), what, [amount], { 'x-kubernetes-int-or-string': true });

const ResourceList = z.object({
  cpu: share('CPU, as in "500m" or 2.'),
  memory: share('Memory, as in "2Gi".'),
  'ephemeral-storage': share('Local scratch space, as in "1Gi".'),
});
type ResourceList = z.output<typeof ResourceList>;

const Resources = z.object({
  requests: described(ResourceList.exactOptional(), 'What each instance is sure to get.'),
  limits: described(ResourceList.exactOptional(), 'What each instance can’t exceed.'),
});

const Toleration = z.object({
  key: described(z.string().min(1).max(316).exactOptional(), 'Key of the taint; all keys if absent.', [labelKey]),
  operator: described(
    z.enum(['Exists', 'Equal']).exactOptional(),
    'How value is compared. Default of Kubernetes: Equal.',
  ),
  value: described(z.string().max(63).exactOptional(), 'Value of the taint.', [labelValue]),
  effect: described(
    z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).exactOptional(),
    'Effect of the taint; all effects if absent.',
  ),
  tolerationSeconds: described(
    z.int().min(0).max(2_147_483_647).exactOptional(),
    'How long a NoExecute taint is tolerated; for ever if absent.',
  ),
});

/** As Kubernetes asks of a Pod. */
const tolerationRules: readonly Rule<z.output<typeof Toleration>>[] = [
  {
    cel: "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
    fieldPath: '.key',
    message: 'is missing: name a taint, or set operator to Exists to tolerate all',
    holds: ({ key, operator }) => key !== undefined || operator === 'Exists',
  },
  {
    cel: "!has(self.value) || self.value == '' || !has(self.operator) || self.operator == 'Equal'",
    fieldPath: '.value',
    message: 'is not compared by operator Exists: remove it, or set operator to Equal',
    holds: ({ value = '', operator = 'Equal' }) => value === '' || operator === 'Equal',
  },
  {
    cel: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    fieldPath: '.tolerationSeconds',
    message: 'goes with effect NoExecute only: set that, or remove the seconds',
    holds: ({ tolerationSeconds, effect }) => tolerationSeconds === undefined || effect === 'NoExecute',
  },
];

const Affinity = z.object({
  nodeSpread: described(
    z.enum(['Required', 'Preferred']).default('Preferred'),
    'Required: never two instances on one node; an instance without a free node stays pending. ' +
      'Preferred: only when no other node takes it; status then says Degraded. ' +
      'Preferred is the default so that a cluster can have more instances than nodes for a while.',
  ),
  topologyKey: described(
    z.string().min(1).max(316).default('topology.kubernetes.io/zone'),
    'Node label whose values instances are spread over as well, where possible.',
    [labelKey],
  ),
  nodeSelector: described(labelMap, 'Labels that a node must have.', [labelKeys, labelValues], { maxProperties: 32 }),
  tolerations: described(
    z
      .array(described(Toleration, 'One toleration.', tolerationRules))
      .max(32)
      .exactOptional(),
    'Taints that instances tolerate.',
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ),
});

export const storage = (product: string) =>
  z.object({
    size: described(
      z.string().min(1).max(32),
      'Size of each instance’s volume, as in "20Gi". It can grow (if the storage class allows it), never shrink.',
      [
        {
          cel: 'isQuantity(self)',
          message: 'is not a size: write it as in "20Gi"',
          messageCel: `'is ' + self + ', which is not a size: write it as in "20Gi"'`,
          holds: (self) => quantityValue(self) !== undefined,
          say: (self) => `is ${self}, which is not a size: write it as in "20Gi"`,
        },
        {
          cel: `!isQuantity(self) || quantity(self).compareTo(quantity('${minimumStorage}')) >= 0`,
          message: `must be ${minimumStorage} or more, because an empty ${product} and its log need that`,
          messageCel: `'is ' + self + ' but must be ${minimumStorage} or more, because an empty ${product} and its log need that'`,
          holds: (self) => (quantityValue(self) ?? Infinity) >= (quantityValue(minimumStorage) ?? 0),
          say: (self) =>
            `is ${self} but must be ${minimumStorage} or more, because an empty ${product} and its log need that`,
        },
      ],
    ),
    storageClassName: described(
      z.string().min(1).max(253).exactOptional(),
      'Storage class of the volumes; the cluster’s default class if absent. ' +
        'Change it, and each instance gets a new volume of that class, one at a time, filled from the others. Can’t be removed later.',
      [objectName],
    ),
  });

const PodOptions = z.object({
  labels: described(
    labelMap,
    'Labels added to the Pods; those of Mainstay win.',
    [reservedKeys('labels'), labelKeys, labelValues],
    { maxProperties: 32 },
  ),
  annotations: described(
    z.record(z.string(), z.string().max(4096)).exactOptional(),
    'Annotations added to the Pods.',
    [reservedKeys('annotations'), labelKeys],
    { maxProperties: 32 },
  ),
  priorityClassName: described(
    z.string().min(1).max(253).exactOptional(),
    'Priority class of the Pods. Give databases a higher one than what may be evicted for them.',
    [objectName],
  ),
});

/** Down to what the volumes are: where they could not grow, a larger wish may be taken back. */
export function mayNotShrink(field: 'storage' | 'walStorage', volumes: 'data' | 'wal'): Rule<unknown> {
  const size = `spec.${field}.size`;
  const both = ['self', 'oldSelf'].flatMap((object) => [
    `has(${object}.spec.${field})`,
    `isQuantity(${object}.${size})`,
  ]);
  const isAtLeast = (other: string): string => `quantity(self.${size}).compareTo(quantity(${other})) >= 0`;
  const asTheyAre = `self.status.volumes.${volumes}`;
  const known = `has(self.status) && has(self.status.volumes) && has(${asTheyAre}) && isQuantity(${asTheyAre})`;
  return {
    cel: `!(${both.join(' && ')}) || ${isAtLeast(`oldSelf.${size}`)} || (${known} && ${isAtLeast(asTheyAre)})`,
    fieldPath: `.${size}`,
    message: 'a volume can’t shrink: keep the size, or make a new cluster and move the data',
    messageCel: `'is ' + self.${size} + ' but was ' + oldSelf.${size} + ', and a volume can’t shrink: keep ' + oldSelf.${size} + ', or make a new cluster and move the data'`,
  };
}

export const keepsClass: Rule<unknown> = {
  cel: '!has(oldSelf.storageClassName) || has(self.storageClassName)',
  fieldPath: '.storageClassName',
  message: 'can’t be removed, because the default class of today may not be that of tomorrow: name the class',
};

export const instances = described(
  z.int().min(1).max(9).default(3),
  'Number of database instances: one primary, the others replicas. 3 survive the loss of any node without losing a write or stopping for long; 1 is for trials.',
);

export const image = (product: string, example: string) =>
  described(
    z.string().min(1).max(512).exactOptional(),
    `Image to run instead of the operator’s own for spec.version. It must hold that major version of ${product}.`,
    [matching(imageReference, `is no image: write it as in ${example}`)],
  );

/** Who counts, who leads, where all of it runs. */
export const placement = {
  durability: described(Durability.prefault({}), 'How safe a write is when it is acknowledged.'),
  failover: described(Failover.prefault({}), 'Who becomes primary.'),
  replication: described(Replication.prefault({}), 'How replicas get their data.'),
  resources: described(
    Resources.exactOptional(),
    'CPU and memory of each instance, changed while it runs where Kubernetes can; requests of 250m and 256Mi by default, too little for a database with work to do. Set memory requests equal to limits, so that the database is not the first to be killed.',
    [withinLimits('cpu'), withinLimits('memory'), withinLimits('ephemeral-storage')],
  ),
  affinity: described(Affinity.prefault({}), 'Where instances run.'),
};

export const lifeCycle = (logs: string) => ({
  deletionPolicy: described(
    z.enum(['Retain', 'Delete']).default('Retain'),
    'What becomes of the volumes when the cluster is deleted or shrinks. Retain: they stay, and the same manifest finds its data again. Delete: they go.',
  ),
  deletionProtection: described(
    z.boolean().default(false),
    'While true, the API server refuses to delete the cluster and its volumes, whoever asks, until this is false again. Needs the chart’s admission policies (on by default).',
  ),
  paused: described(
    z.boolean().default(false),
    'While true, the operator changes nothing of this cluster. The agents go on, failover included.',
  ),
  hibernated: described(
    z.boolean().default(false),
    'While true, no instance runs: the Pods go, replicas first, the primary last; volumes, Secrets and Services stay. Back to false, the cluster goes on with its data.',
  ),
  logLevel: described(
    z.enum(logLevels).default('info'),
    `How much the agents tell of themselves in the Pods’ logs; a change is heeded at once. ${logs}`,
  ),
  operatorUpgrades: described(
    z.enum(['KeepPods', 'ReplacePods']).default('KeepPods'),
    'What an upgrade of the operator means for running instances. KeepPods: nothing; an instance gets the new agent and the new default image when its Pod is next made (status.earlierPods tells which wait). ' +
      'ReplacePods: Pods are replaced one at a time, replicas first, the primary after a switchover.',
  ),
  maintenance,
  networkPolicy,
  disruption,
  pod: described(PodOptions.exactOptional(), 'Additions to the Pods.'),
});

/** Defaults depend on the number of instances, so the schema can't hold them: `effectiveDurability`. */
export const commonRules: readonly Rule<
  Parameters<NonNullable<(typeof failoverRules)[number]['holds']>>[0] & {
    readonly instances: number;
    readonly durability: z.output<typeof Durability>;
  }
>[] = [
  {
    cel: 'self.durability.acknowledgements < (self.instances > 1 ? self.instances : 2)',
    fieldPath: '.durability.acknowledgements',
    message: 'must be less than spec.instances: lower spec.durability.acknowledgements or raise spec.instances',
    // format() and not string() + …: the API server takes the latter for unboundedly long and refuses the CRD.
    messageCel:
      "'is %d but must be less than spec.instances (%d), because only replicas acknowledge: lower it or raise spec.instances'.format([self.durability.acknowledgements, self.instances])",
    holds: (self) => self.durability.acknowledgements < Math.max(self.instances, 2),
    say: (self) =>
      `is ${self.durability.acknowledgements} but must be less than spec.instances (${self.instances}), because only replicas acknowledge: lower it or raise spec.instances`,
  },
  {
    cel: "!(self.instances == 1 && has(self.durability.mode) && self.durability.mode == 'Strict')",
    fieldPath: '.durability.mode',
    message:
      'Strict needs at least 2 instances, because every write would wait for a replica: raise spec.instances (3 is best) or remove spec.durability.mode',
    holds: (self) => !(self.instances === 1 && self.durability.mode === 'Strict'),
  },
  ...failoverRules,
];

/** The resource of one kind. */
export const clusterResource = <Kind extends string, Spec extends z.ZodType, Status extends z.ZodType>(
  kind: Kind,
  description: string,
  spec: Spec,
  status: Status,
  rules: readonly Rule<unknown>[] = [],
) =>
  described(
    z.object({
      apiVersion: z.literal(apiVersion),
      kind: z.literal(kind),
      metadata: z.object({
        ...objectMeta,
        labels: z.record(z.string(), z.string()).exactOptional(),
        annotations: z.record(z.string(), z.string()).exactOptional(),
        finalizers: z.array(z.string()).exactOptional(),
      }),
      spec,
      status,
    }),
    description,
    [
      {
        cel: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$')",
        message:
          'metadata.name must be at most 50 lower-case letters, digits and hyphens and begin with a letter, because Services and Pods are named after it: choose another name',
        holds: (self) => clusterNamePattern.test(self.metadata.name),
      },
      {
        cel: 'self.spec.version == oldSelf.spec.version || (has(self.status) && has(self.status.version) && self.status.version == self.spec.version)',
        fieldPath: '.spec.version',
        message:
          'can’t be changed before the data are of that version: make a ClusterOperation of type Upgrade first (status.version tells)',
      },
      mayNotShrink('storage', 'data'),
      ...rules,
    ],
  );

function reservedKeys(what: string): Rule<Readonly<Record<string, string>>> {
  return {
    cel: "!self.exists(key, key.startsWith('mainstay.dev/') || key.startsWith('app.kubernetes.io/'))",
    message: `${what} under mainstay.dev/ and app.kubernetes.io/ are Mainstay’s: use another prefix`,
    holds: (self) =>
      !Object.keys(self).some((key) => key.startsWith('mainstay.dev/') || key.startsWith('app.kubernetes.io/')),
  };
}

function withinLimits(
  name: 'cpu' | 'memory' | 'ephemeral-storage',
): Rule<{ readonly requests?: ResourceList; readonly limits?: ResourceList }> {
  // As CEL writes such a name.
  const field = name.replaceAll('-', '__dash__');
  const has = `has(self.requests) && has(self.requests.${field}) && has(self.limits) && has(self.limits.${field})`;
  return {
    cel: `!(${has}) || quantity(string(self.requests.${field})).compareTo(quantity(string(self.limits.${field}))) <= 0`,
    fieldPath: `.requests`,
    message: `requests.${name} must not be more than limits.${name}: lower the request or raise the limit`,
    holds: ({ requests, limits }) =>
      requests?.[name] === undefined ||
      limits?.[name] === undefined ||
      (quantityValue(requests[name]) ?? 0) <= (quantityValue(limits[name]) ?? Infinity),
  };
}
