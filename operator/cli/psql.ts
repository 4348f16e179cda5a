/** `psql`: a session on the primary or a replica, inside its Pod, where no password is needed. */
import { MainstayError } from '../platform/errors.ts';
import { clusterNamed, type Cluster } from './clusters.ts';
import { UsageError, type Command, type Input } from './command.ts';

export const psql: Command = {
  name: 'psql',
  summary: 'a SQL session on the primary, a replica or a named instance',
  details:
    'psql runs in the Pod of the instance, with the role of the application’s owner, or with --superuser as postgres.\nIt needs the right to create pods/exec.',
  operands: [{ name: 'CLUSTER' }],
  options: [
    { name: 'replica', description: 'on a replica that follows' },
    { name: 'instance', value: 'INSTANCE', description: 'on this one' },
    { name: 'superuser', description: 'as postgres' },
    { name: 'database', short: 'd', value: 'NAME', description: 'the application’s by default' },
  ],
  rest: 'arguments of psql',
  examples: [
    'kubectl mainstay psql orders',
    "kubectl mainstay psql orders --replica -- -c 'SELECT count(*) FROM sales'",
    'kubectl mainstay psql orders --superuser < script.sql',
  ],

  async run(input, world) {
    const session = await world.connect(input);
    const cluster = await clusterNamed(session, input.operands[0] ?? '', world.signal);
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    // What psql answers is what a script wants to know.
    return world.kubectl([
      ...session.kubectlFlags,
      'exec',
      isTerminal ? '--stdin=true' : '--stdin',
      ...(isTerminal ? ['--tty'] : []),
      `pod/${chosen(cluster, input)}`,
      '--container=postgres',
      '--',
      ...psqlCommand(cluster, input),
    ]);
  },
};

const socketFolder = '/run/mainstay';

/** By the socket in the Pod, which asks for no password; whoever may exec there could be anybody, so the role is a safeguard only. */
export function psqlCommand({ spec }: Pick<Cluster, 'spec'>, { switches, values, rest }: Input): readonly string[] {
  const { database, owner } = spec.application;
  const role = switches.has('superuser') ? [] : ['env', `PGOPTIONS=-c role=${owner}`];
  return [...role, 'psql', '-h', socketFolder, '-U', 'postgres', '-d', values.get('database') ?? database, ...rest];
}

export function chosen(cluster: Cluster, { switches, values }: Input): string {
  const { instancesStatus = [], primary } = cluster.status;
  const name = values.get('instance');
  if (name !== undefined) {
    if (switches.has('replica')) throw new UsageError('--instance and --replica exclude each other');
    if (instancesStatus.some((instance) => instance.name === name)) return name;
    throw new UsageError(`${name} is no instance: choose one of ${instancesStatus.map((one) => one.name).join(', ')}`);
  }
  const replicas = instancesStatus.filter(({ role, state }) => role === 'replica' && state === 'streaming');
  const found = switches.has('replica') ? replicas[0]?.name : primary;
  if (found !== undefined) return found;
  const what = switches.has('replica') ? 'No replica follows' : 'There is no primary';
  throw new MainstayError(
    'DatabaseUnreachable',
    `${what} now: see kubectl mainstay explain ${cluster.metadata?.name ?? ''}`,
  );
}
