/** `status`: one screen that says how a cluster is and what to do next. */
import type { InstanceStatus } from '../api/cluster-status.ts';
import { bytesText } from '../api/quantity.ts';
import { profileOf } from '../engines/profiles.ts';
import type { ClusterOperationStatus } from '../api/cluster-operation.ts';
import { clusterNamed, conditionOf, clustersIn, operationsOf, type Cluster, type Operation } from './clusters.ts';
import { exitCodes, type Command, type ExitCode, type Input, type World } from './command.ts';
import { age, table } from './table.ts';

export const status: Command = {
  name: 'status',
  summary: 'how a cluster is, and what to do next; without a name, all of the namespace',
  details: 'Exit code: 0 ready, 1 degraded or changing, 2 nobody accepts writes; of several clusters, the worst.',
  operands: [{ name: 'CLUSTER', optional: true }],
  options: [
    { name: 'all-namespaces', short: 'A', description: 'all namespaces' },
    { name: 'output', short: 'o', value: 'json', description: 'the objects as JSON', choices: ['json'] },
  ],
  examples: [
    'kubectl mainstay status orders',
    'kubectl mainstay status -A',
    'kubectl mainstay status orders -o json | jq .status.primary',
  ],

  async run(input, world) {
    const session = await world.connect(input);
    const [name] = input.operands;
    if (name === undefined) return statusOfAll(input, world);
    const cluster = await clusterNamed(session, name, world.signal);
    if (input.values.get('output') === 'json') {
      world.out(JSON.stringify(cluster, undefined, 2));
      return healthOf(cluster);
    }
    // Whoever may not see operations still sees the cluster.
    const operations = await operationsOf(session, name, world.signal).catch(() => []);
    world.out(statusText(cluster, operations, world.clock.wall().getTime()));
    return healthOf(cluster);
  },
};

async function statusOfAll(input: Input, world: World): Promise<ExitCode> {
  const session = await world.connect(input);
  const { namespace } = session;
  const everywhere = input.switches.has('all-namespaces');
  const where = everywhere ? {} : { namespace };
  const items = await clustersIn(session, where, world.signal);
  if (input.values.get('output') === 'json') world.out(JSON.stringify(items, undefined, 2));
  else if (items.length === 0)
    world.out(everywhere ? 'There are no clusters.' : `There are no clusters in namespace ${namespace}.`);
  else
    world.out(
      table([
        [...(everywhere ? ['NAMESPACE'] : []), 'CLUSTER', 'READY', 'PRIMARY', 'STATUS', 'NEXT'],
        ...items.map((cluster) => [
          ...(everywhere ? [cluster.metadata?.namespace ?? ''] : []),
          cluster.metadata?.name ?? '',
          cluster.status.ready ?? '',
          cluster.status.primary ?? '-',
          cluster.status.summary ?? 'not seen by the operator yet',
          advice(cluster),
        ]),
      ]),
    );
  return Math.max(exitCodes.ok, ...items.map(healthOf));
}

export function statusText(cluster: Cluster, operations: readonly Operation[], now: number): string {
  const { spec, status: is } = cluster;
  const name = cluster.metadata?.name ?? '';
  const instances = is.instancesStatus ?? [];
  const primary = instances.find((instance) => instance.name === is.primary);
  const where = [primary?.node, primary?.zone].filter((part) => part !== undefined && part !== '').join(', ');
  const since = age(is.lastFailover?.at, now);
  const head = [
    name,
    `${profileOf(cluster).product} ${spec.version}`,
    is.summary ?? 'not seen by the operator yet',
    is.ready ?? '',
    is.primary === undefined
      ? 'no primary'
      : `primary ${is.primary}${where === '' ? '' : ` (${where})`}${since === '' ? '' : ` for ${since}`}`,
    is.epoch === undefined ? '' : `epoch ${is.epoch}`,
    is.timeline === undefined ? '' : `timeline ${is.timeline}`,
  ];
  const rows = instances.map((instance) => [
    instance.name === is.primary ? '*' : ' ',
    instance.name,
    instance.role ?? '-',
    instance.state,
    instance.role === 'primary' ? '-' : lag(instance),
    instance.role === 'primary' ? '-' : instance.sync ? 'yes' : 'no',
    [instance.node, instance.zone].filter((part) => part !== undefined).join(' ') || '-',
    instance.ifLost ?? '-',
    instance.message ?? '',
  ]);
  const facts: [string, string][] = [
    ['Durability', durabilityOf(cluster)],
    ...(is.lastFailover
      ? [
          [
            'Last change',
            `${age(is.lastFailover.at, now)} ago: ${is.lastFailover.winner} in epoch ${is.lastFailover.epoch} (${is.lastFailover.reason})`,
          ] as [string, string],
        ]
      : []),
    ...operations
      .slice(0, 3)
      .map((operation, index): [string, string] => [index === 0 ? 'Operations' : '', operationLine(operation, now)]),
    ['Next', advice(cluster)],
  ];
  return [
    head.filter((part) => part !== '').join('   '),
    ...(rows.length > 0
      ? [table([[' ', 'INSTANCE', 'ROLE', 'STATE', 'LAG', 'SYNC', 'NODE', 'IF LOST', 'NOTE'], ...rows])]
      : []),
    table(facts, '  '),
  ].join('\n');
}

function durabilityOf({ status: is }: Cluster): string {
  if (!is.durability) return 'unknown yet';
  const { mode, acknowledgements } = is.durability;
  const members = is.sync?.members.join(', ') ?? '';
  const waits = is.sync?.acknowledgements ?? acknowledgements;
  if (waits === 0) return `${mode}: writes wait for no replica`;
  return `${mode}: each write waits for ${waits} of ${members === '' ? 'no replica that there is' : members}`;
}

function operationLine({ metadata, spec, status: is }: Operation, now: number): string {
  const state: ClusterOperationStatus['summary'] = is?.summary ?? 'not seen by the operator yet';
  return `${metadata?.name ?? ''}  ${spec.type}  ${state}  ${age(metadata?.creationTimestamp, now)} ago${is?.message === undefined ? '' : `: ${is.message}`}`;
}

/** The worst problem and what helps, as the conditions say it. */
export function advice(cluster: Cluster): string {
  const name = cluster.metadata?.name ?? '';
  if (cluster.status.observedGeneration < 0)
    return 'the operator has not seen the cluster yet: kubectl get deployments -A -l app.kubernetes.io/name=mainstay';
  const stalled = conditionOf(cluster, 'Stalled');
  if (stalled?.status === 'True') return `${stalled.reason}: ${stalled.message}`;
  const available = conditionOf(cluster, 'Available');
  if (available && available.status !== 'True') return `${available.message} More: kubectl mainstay explain ${name}`;
  for (const [type, bad] of [
    ['SyncQuorumSatisfied', 'False'],
    ['LossAccepted', 'True'],
    ['Reconciling', 'True'],
    ['Degraded', 'True'],
  ] as const) {
    const condition = conditionOf(cluster, type);
    if (condition?.status === bad) return condition.message;
  }
  const ready = conditionOf(cluster, 'Ready');
  return ready?.status === 'True' ? 'nothing to do' : (ready?.message ?? 'wait for the operator');
}

export function healthOf(cluster: Cluster): ExitCode {
  const is = (type: string) => conditionOf(cluster, type)?.status;
  if (is('Available') !== 'True') return exitCodes.unavailable;
  return is('Ready') === 'True' && is('Degraded') !== 'True' ? exitCodes.ok : exitCodes.degraded;
}

const lag = ({ lagBytes, lagTransactions }: InstanceStatus): string =>
  lagTransactions !== undefined
    ? `${lagTransactions} transactions`
    : lagBytes === undefined
      ? '-'
      : bytesText(lagBytes);
