/** A SQL session on the primary or a replica, by the database's own client inside the Pod, where no password is needed. */
import type { ClusterKind } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';
import { MainstayError } from '../platform/errors.ts';
import { clusterNamed, type Cluster } from './clusters.ts';
import { UsageError, type Input, type Option, type World } from './command.ts';
import type { ExitCode } from './command.ts';

export const sessionOptions: readonly Option[] = [
  { name: 'replica', description: 'on a replica that follows' },
  { name: 'instance', value: 'INSTANCE', description: 'on this one' },
  { name: 'database', short: 'd', value: 'NAME', description: 'the application’s by default' },
];

export async function openSession(
  input: Input,
  world: World,
  kind: ClusterKind,
  command: (cluster: Cluster, input: Input) => readonly string[],
): Promise<ExitCode> {
  const session = await world.connect(input);
  const cluster = await clusterNamed(session, input.operands[0] ?? '', world.signal);
  if (cluster.kind !== kind)
    throw new UsageError(`${cluster.metadata?.name ?? ''} is a ${cluster.kind}: use the command of its database`);
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  // What the client answers is what a script wants to know.
  return world.kubectl([
    ...session.kubectlFlags,
    'exec',
    isTerminal ? '--stdin=true' : '--stdin',
    ...(isTerminal ? ['--tty'] : []),
    `pod/${chosen(cluster, input)}`,
    `--container=${profileOf(cluster).engine}`,
    '--',
    ...command(cluster, input),
  ]);
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
