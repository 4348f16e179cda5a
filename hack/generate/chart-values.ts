/** What the values of the chart may be: the one source of values.schema.json. What they mean stands in values.yaml. */
import { z } from 'zod';

/** Nothing must be given, and nothing that is misspelt is let through. */
const values = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).partial();

const text = z.string().min(1);
const count = (least: number, most: number) => z.int().min(least).max(most);
const bytes = z.union([z.string().regex(/^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/), z.int()]);
const strings = z.record(z.string(), z.string());
const amounts = values({ cpu: z.union([z.string(), z.number()]), memory: bytes, 'ephemeral-storage': bytes });
const resources = values({ requests: amounts, limits: amounts });
const tolerations = z.array(
  values({
    key: z.string(),
    operator: z.enum(['Exists', 'Equal']),
    value: z.string(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    tolerationSeconds: z.int(),
  }),
);
const placement = { resources, nodeSelector: strings, tolerations, priorityClassName: z.string() };
const imagesOf = (...versions: readonly [string, ...string[]]) => z.partialRecord(z.enum(versions), text);
const switchedOn = values({ enabled: z.boolean() });

const chartValues = values({
  global: z.record(z.string(), z.unknown()),
  crds: values({ enabled: z.boolean(), keep: z.boolean() }),
  image: values({
    repository: text,
    tag: text,
    digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
  }),
  imagePullSecrets: z.array(text),
  postgresImages: imagesOf('17', '18'),
  mysqlImages: imagesOf('8.4', '9.7'),
  watchNamespace: z.string().regex(/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/),
  serviceAccount: values({ annotations: strings }),
  rbac: values({ create: z.boolean(), nodes: z.boolean(), aggregate: z.boolean() }),
  admissionPolicies: switchedOn,
  fencing: switchedOn,
  monitoring: values({ enabled: z.boolean(), interval: z.string().regex(/^([0-9]+(ms|[smhd]))+$/), labels: strings }),
  operator: values({
    replicas: count(0, 5),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']),
    ...placement,
  }),
  etcd: values({
    endpoints: z.array(z.string().regex(/^https?:\/\/[^,@\s]+$/)),
    credentialsSecret: z.string().regex(/^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$/),
    userPerCluster: z.boolean(),
    secure: z.boolean(),
    replicas: z.literal([1, 3, 5]),
    image: text,
    nodeSpread: z.enum(['Required', 'Preferred']),
    heartbeatMilliseconds: count(10, 5_000),
    electionMilliseconds: count(100, 50_000),
    compactionRetention: z.string().regex(/^([0-9]+[hms])+$/),
    quotaBytes: count(64 * 2 ** 20, 8 * 2 ** 30),
    storage: values({ size: bytes, storageClassName: z.string() }),
    networkPolicy: switchedOn,
    ...placement,
  }),
});

export function chartValuesSchema(): string {
  const schema = z.toJSONSchema(chartValues, { target: 'draft-7', io: 'input' });
  return `${JSON.stringify({ ...schema, title: 'Values of the Mainstay chart' }, undefined, 2)}\n`;
}
