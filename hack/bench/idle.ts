/** What a cluster costs that has nothing to do. */
import { setTimeout as delay } from 'node:timers/promises';
import { agentOf } from '../testbed/pod-processes.ts';
import { seconds } from '../testbed/until.ts';
import type { Arena } from './arena.ts';
import { processCost } from './process-cost.ts';
import type { Measurement } from './scenario.ts';

const goals = { residentMiB: 96, cpuPercent: 1 };
const defaultMinutes = 1;

export const idle: Measurement = {
  kind: 'measurement',
  name: 'idle',
  title: 'Cost of an idle cluster of three',
  measure: async (arena, { minutes = defaultMinutes }) => {
    await arena.whole();
    const { instance: leader } = await arena.primary();
    const agents = await Promise.all(
      arena.instances().map(async ({ name, uid }) => ({ name, pid: (await agentOf(uid)).pid })),
    );
    const before = await look(arena, agents);
    await delay(seconds(60 * minutes), undefined, { signal: arena.signal });
    const after = await look(arena, agents);
    const elapsed = (after.at - before.at) / 1000;
    const costs = agents.map(({ name }, index) => ({
      instance: name,
      role: name === leader ? 'primary' : 'replica',
      residentMiB: after.agents[index]?.residentMiB ?? 0,
      sharedMiB: after.agents[index]?.sharedMiB ?? 0,
      cpuPercent: round((((after.agents[index]?.cpu ?? 0) - (before.agents[index]?.cpu ?? 0)) / elapsed) * 100),
    }));
    const requests = [...after.requests]
      .map(([method, count]) => ({ method, perSecond: round((count - (before.requests.get(method) ?? 0)) / elapsed) }))
      .filter(({ perSecond }) => perSecond > 0)
      .toSorted((a, b) => b.perSecond - a.perSecond);
    const total = round(requests.reduce((sum, { perSecond }) => sum + perSecond, 0));
    return {
      passed: costs.every((cost) => cost.residentMiB <= goals.residentMiB && cost.cpuPercent <= goals.cpuPercent),
      lines: [
        ...costs.map(
          (cost) =>
            `agent of ${cost.instance} (${cost.role}): ${cost.residentMiB} MiB resident, ${cost.sharedMiB} of them shared with files ` +
            `(goal ${goals.residentMiB}), ${cost.cpuPercent} % of a core (goal ${goals.cpuPercent})`,
        ),
        `etcd: ${total} requests per second of the cluster and the operator: ${requests
          .map(({ method, perSecond }) => `${method} ${perSecond}`)
          .join(', ')}`,
      ],
      data: { minutes, costs, requests },
    };
  },
};

async function look(
  arena: Arena,
  agents: readonly { readonly pid: number }[],
): Promise<{
  readonly at: number;
  readonly agents: readonly { readonly residentMiB: number; readonly sharedMiB: number; readonly cpu: number }[];
  readonly requests: ReadonlyMap<string, number>;
}> {
  return {
    at: performance.now(),
    requests: await arena.etcd().requests(),
    agents: await Promise.all(
      agents.map(async ({ pid }) => {
        const { residentMiB, sharedMiB, cpuSeconds } = await processCost(pid);
        return { residentMiB: round(residentMiB), sharedMiB: round(sharedMiB), cpu: cpuSeconds };
      }),
    ),
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;
