/** `explain`: why there is a primary or none, and what the loss of each instance would mean, by the agents' own protocol. */
import { z } from 'zod';
import { clusterNamed, conditionOf, type Cluster } from './clusters.ts';
import { exitCodes, type Command, type Session } from './command.ts';
import { healthOf } from './status.ts';
import { table } from './table.ts';

const agentPort = 8008;

/** As an agent tells it at /explain. */
const Told = z.object({
  summary: z.string(),
  candidates: z.array(z.object({ instance: z.string(), verdict: z.string() })).default([]),
  ifLost: z.record(z.string(), z.object({ text: z.string() })).default({}),
});
type Told = z.output<typeof Told>;

export const explain: Command = {
  name: 'explain',
  summary: 'why there is a primary or none, and what the loss of each instance would mean',
  details:
    'The agents are asked through the API server, which needs the right to get pods/proxy. Without it, or when no agent\nanswers, what the operator has written to status is shown.',
  operands: [{ name: 'CLUSTER' }],
  options: [{ name: 'output', short: 'o', value: 'json', description: 'as JSON', choices: ['json'] }],
  examples: ['kubectl mainstay explain orders'],

  async run(input, world) {
    const session = await world.connect(input);
    const cluster = await clusterNamed(session, input.operands[0] ?? '', world.signal);
    const told = await askAgents(session, cluster, world.signal);
    if (input.values.get('output') === 'json')
      world.out(JSON.stringify({ ...told, conditions: cluster.status.conditions ?? [] }, undefined, 2));
    else world.out(explanationText(cluster, told));
    return healthOf(cluster) === exitCodes.unavailable ? exitCodes.unavailable : exitCodes.ok;
  },
};

/** The first that answers: each knows what etcd knows. */
async function askAgents(session: Session, cluster: Cluster, signal: AbortSignal): Promise<Told | undefined> {
  const { primary, instancesStatus = [] } = cluster.status;
  const names = instancesStatus
    .map(({ name }) => name)
    .toSorted((a, b) => Number(b === primary) - Number(a === primary));
  for (const name of names) {
    const path = `/api/v1/namespaces/${session.namespace}/pods/${name}:${agentPort}/proxy/explain`;
    try {
      const request = { verb: 'get', method: 'GET', path, idempotent: false } as const;
      return Told.parse(await session.transport.call(request, { signal, timeoutMs: 3_000 }));
    } catch {
      signal.throwIfAborted();
    }
  }
  return undefined;
}

export function explanationText(cluster: Cluster, told: Told | undefined): string {
  const { instancesStatus = [] } = cluster.status;
  const summary =
    told?.summary ?? conditionOf(cluster, 'Available')?.message ?? 'The operator has not seen the cluster yet.';
  const consequences = instancesStatus.map(({ name, ifLost }) => [
    name,
    told?.ifLost[name]?.text ?? ifLost ?? 'unknown',
  ]);
  const tails = instancesStatus.flatMap(({ name, cutTail }) =>
    cutTail === undefined
      ? []
      : [
          [
            name,
            `${cutTail.transactions} transactions, on ${cutTail.at}: ${cutTail.gtids}. They are in ${cutTail.file} on its volume`,
          ],
        ],
  );
  const others = [
    'Stalled',
    'SyncQuorumSatisfied',
    'Degraded',
    'Reconciling',
    'LossAccepted',
    'PendingRestart',
  ].flatMap((type) => {
    const condition = conditionOf(cluster, type);
    const isNews = condition && (condition.status === 'True') !== (type === 'SyncQuorumSatisfied');
    return isNews ? [[type, `${condition.reason}: ${condition.message}`]] : [];
  });
  return [
    summary,
    ...(told && told.candidates.length > 0
      ? [
          `Who could lead:\n${table(
            told.candidates.map(({ instance, verdict }) => [instance, verdict]),
            '  ',
          )}`,
        ]
      : []),
    ...(consequences.length > 0 ? [`If it were lost now:\n${table(consequences, '  ')}`] : []),
    ...(tails.length > 0
      ? [`Cut off, because only a former primary had them and nobody was told of them:\n${table(tails, '  ')}`]
      : []),
    ...(others.length > 0 ? [`Conditions that need a look:\n${table(others, '  ')}`] : []),
    ...(told ? [] : ['No agent could be asked; this is what the operator has written to status.']),
  ].join('\n\n');
}
