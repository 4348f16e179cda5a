/** Commands that make a ClusterOperation and follow it to its end. */
import type { ClusterOperationStatus } from '../api/cluster-operation.ts';
import { MainstayError } from '../platform/errors.ts';
import { clusterNamed, clusterOperations, conditionOf, type Operation } from './clusters.ts';
import {
  exitCodes,
  UsageError,
  type Command,
  type ExitCode,
  type Input,
  type Option,
  type Session,
  type World,
} from './command.ts';

const followOptions: readonly Option[] = [
  { name: 'reason', value: 'TEXT', description: 'why, for the history' },
  { name: 'dry-run', description: 'only say whether it could begin now, and what would happen' },
  { name: 'deadline', value: 'SECONDS', description: 'it must be over by then; a sensible default for each type' },
  { name: 'no-wait', description: 'don’t follow it to its end' },
  { name: 'output', short: 'o', value: 'json', description: 'the ClusterOperation as JSON', choices: ['json'] },
];

/** Objects that the plugin makes go after a week; those of people and Git stay. */
const ttlSecondsAfterFinished = 604_800;

interface Kind {
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly operands?: Command['operands'];
  readonly options?: readonly Option[];
  readonly examples: readonly string[];
  readonly spec: (input: Input) => Pick<Operation['spec'], 'type'> & Partial<Operation['spec']>;
}

function operation(kind: Kind): Command {
  return {
    name: kind.name,
    summary: kind.summary,
    ...(kind.details !== undefined && { details: kind.details }),
    operands: kind.operands ?? [{ name: 'CLUSTER' }],
    options: [...(kind.options ?? []), ...followOptions],
    examples: kind.examples,
    run: (input, world) => operate(kind, input, world),
  };
}

export const switchover = operation({
  name: 'switchover',
  summary: 'hand over to another instance, without losing a write',
  options: [{ name: 'to', value: 'INSTANCE', description: 'who shall become primary; the fittest replica by default' }],
  examples: [
    'kubectl mainstay switchover orders',
    'kubectl mainstay switchover orders --to orders-2 --reason "node-1 gets new memory"',
  ],
  spec: ({ values }) => ({ type: 'Switchover', switchover: { ...only('to', values.get('to')) } }),
});

export const restart = operation({
  name: 'restart',
  summary: 'restart databases: one that is named, or all, one after the other',
  details:
    'All: replicas first, then the primary after a switchover. A primary that is named is restarted in place.\nPods stay.',
  operands: [{ name: 'CLUSTER' }, { name: 'INSTANCE', optional: true }],
  examples: ['kubectl mainstay restart orders', 'kubectl mainstay restart orders orders-2'],
  spec: ({ operands }) => ({ type: 'Restart', restart: { ...only('instance', operands[1]) } }),
});

const transfers = ['Copy', 'Clone', 'Link'] as const;

export const upgrade = operation({
  name: 'upgrade',
  summary: 'to the next major version, made from the data that are there',
  details: 'What is checked, what it costs and how to go back: docs/postgresql.md. Begin with --dry-run.',
  options: [
    { name: 'to', value: 'VERSION', description: 'major version to upgrade to', choices: ['18'] },
    { name: 'transfer', value: 'HOW', description: 'how data files get there; Copy by default', choices: transfers },
  ],
  examples: ['kubectl mainstay upgrade orders --to 18 --dry-run', 'kubectl mainstay upgrade orders --to 18'],
  spec: ({ values }) => {
    const transfer = transfers.find((one) => one === values.get('transfer')) ?? 'Copy';
    // The choices above have been compared.
    return { type: 'Upgrade', upgrade: { to: needed(values, 'to', 'upgrade') as '18', transfer } };
  },
});

const oneInstance: Command['operands'] = [{ name: 'CLUSTER' }, { name: 'INSTANCE' }];

export const reinitialize = operation({
  name: 'reinitialize',
  summary: 'replace a replica’s data by a new clone',
  details:
    'The old data stay beside the new until those serve. Refused for the primary, and where writes would have to wait.',
  operands: oneInstance,
  examples: ['kubectl mainstay reinitialize orders orders-2'],
  spec: ({ operands }) => ({ type: 'Reinitialize', reinitialize: { instance: operands[1] ?? '' } }),
});

export const fence = operation({
  name: 'fence',
  summary: 'stop one database and keep it so, for a look at its data or its host',
  details: 'The Pod stays; a primary hands over first. It lasts until unfence, whatever restarts the Pod.',
  operands: oneInstance,
  options: [{ name: 'accept-outage', description: 'although writes then stop, wait, or are on fewer replicas' }],
  examples: ['kubectl mainstay fence orders orders-2 --reason "disk errors"'],
  spec: ({ operands, switches }) => ({
    type: 'Fence',
    fence: { instance: operands[1] ?? '', acceptOutage: switches.has('accept-outage') },
  }),
});

export const unfence = operation({
  name: 'unfence',
  summary: 'let a fenced database run again',
  operands: oneInstance,
  examples: ['kubectl mainstay unfence orders orders-2'],
  spec: ({ operands }) => ({ type: 'Unfence', unfence: { instance: operands[1] ?? '' } }),
});

export const failover = operation({
  name: 'failover',
  summary: 'make an instance primary by force, when nobody may lead',
  details:
    'For a cluster without a primary whose missing instances are gone for good. Without --accept-data-loss it is refused\nif any acknowledged write could be lost, and the refusal says how much is known.',
  options: [
    { name: 'to', value: 'INSTANCE', description: 'who shall lead' },
    { name: 'accept-data-loss', description: 'writes that only the missing instances hold may be lost' },
    { name: 'others-are-off', description: 'you have made sure that the missing instances are off' },
  ],
  examples: [
    'kubectl mainstay explain orders',
    'kubectl mainstay failover orders --to orders-3 --accept-data-loss --others-are-off',
  ],
  spec: ({ values, switches }) => ({
    type: 'Failover',
    failover: {
      to: needed(values, 'to', 'failover'),
      acceptDataLoss: switches.has('accept-data-loss'),
      othersAreOff: switches.has('others-are-off'),
    },
  }),
});

export const adopt = operation({
  name: 'adopt',
  summary: 'go on with an etcd that was restored or replaced',
  options: [
    {
      name: 'etcd-cluster-id',
      value: 'ID',
      description: 'the etcd that is meant; a wrong id is refused with the right one',
    },
    { name: 'without', value: 'A,B', description: 'instances that are gone for good; what only they hold is lost' },
  ],
  examples: ['kubectl mainstay adopt orders --etcd-cluster-id 14841639068965178418'],
  spec: ({ values }) => ({
    type: 'Adopt',
    adopt: {
      etcdClusterId: needed(values, 'etcd-cluster-id', 'adopt'),
      without: (values.get('without') ?? '').split(',').filter((name) => name !== ''),
    },
  }),
});

export const operations: readonly Command[] = [
  switchover,
  restart,
  reinitialize,
  fence,
  unfence,
  upgrade,
  failover,
  adopt,
];

async function operate(kind: Kind, input: Input, world: World): Promise<ExitCode> {
  const spec = kind.spec(input);
  const deadlineSeconds = secondsIn(input);
  const session = await world.connect(input);
  const { namespace, client } = session;
  const [cluster = ''] = input.operands;
  const { kind: clusterKind } = await clusterNamed(session, cluster, world.signal);
  const made = await client.create(
    clusterOperations,
    {
      metadata: { namespace, name: nameFor(cluster, kind.name, world.clock.wall()) },
      spec: {
        clusterRef: { kind: clusterKind, name: cluster },
        ...spec,
        ...only('reason', input.values.get('reason')),
        ...only('deadlineSeconds', deadlineSeconds),
        dryRun: input.switches.has('dry-run'),
        ttlSecondsAfterFinished,
      },
    },
    { signal: world.signal },
  );
  const name = made.metadata?.name ?? '';
  const asJson = input.values.get('output') === 'json';
  if (!asJson) world.out(`clusteroperation.mainstay.dev/${name} created`);
  const last = input.switches.has('no-wait') ? made : await followed(session, made, asJson, world);
  if (asJson) world.out(JSON.stringify(last, undefined, 2));
  if (conditionOf(last, 'Failed')?.status === 'True') {
    if (!asJson) world.err(`${last.status?.summary ?? 'Failed'}: ${last.status?.message ?? ''}`);
    return exitCodes.refused;
  }
  if (!asJson && last.status?.summary !== undefined) world.out(`${last.status.summary}: ${last.status.message ?? ''}`);
  return exitCodes.ok;
}

/** Tells when it was asked for, and sorts by that. */
const nameFor = (cluster: string, kind: string, now: Date): string =>
  `${cluster}-${kind}-${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}`;

const isOver = (of: Operation): boolean =>
  ['Complete', 'Failed'].some((type) => conditionOf(of, type)?.status === 'True');
/** An operator that is there looks within moments. */
const unseenMs = 10_000;

/** Until it is over, telling what it does whenever that changes. */
async function followed(session: Session, made: Operation, isQuiet: boolean, world: World): Promise<Operation> {
  const { client, namespace } = session;
  const name = made.metadata?.name ?? '';
  let latest = made;
  let told: ClusterOperationStatus['message'];
  const hint = world.clock.after(unseenMs, () => {
    if ((latest.status?.observedGeneration ?? -1) < 0)
      world.err('The operator has not seen it yet. Does it run? Ctrl-C leaves the operation in place.');
  });
  try {
    for (;;) {
      const now = await client.get(clusterOperations, { namespace, name }, { signal: world.signal });
      if (!now) throw new MainstayError('ResourceInvalid', `ClusterOperation ${name} was deleted.`);
      latest = now;
      if (isOver(latest)) return latest;
      const where = { namespace, fieldSelector: `metadata.name=${name}` };
      const from = { resourceVersion: latest.metadata?.resourceVersion ?? '', timeoutSeconds: 300 };
      for await (const event of client.watch(clusterOperations, where, from, { signal: world.signal })) {
        if (event.type === 'BOOKMARK') continue;
        if (event.type === 'DELETED') break;
        latest = event.object;
        if (isOver(latest)) return latest;
        const { summary = '', message } = latest.status ?? {};
        if (!isQuiet && message !== undefined && message !== told) world.out(`${summary}: ${message}`);
        told = message;
      }
    }
  } finally {
    hint();
  }
}

const only = <Name extends string, T>(name: Name, value: T | undefined): { readonly [Key in Name]?: T } =>
  value === undefined ? {} : ({ [name]: value } as { readonly [Key in Name]?: T });

function needed(values: Input['values'], name: string, command: string): string {
  const value = values.get(name);
  if (value === undefined) throw new UsageError(`--${name} is missing: see kubectl mainstay ${command} --help`);
  return value;
}

function secondsIn({ values }: Input): number | undefined {
  const text = values.get('deadline');
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError(`--deadline is “${text}”: write it as whole seconds, as in 120`);
  return Number(text);
}
