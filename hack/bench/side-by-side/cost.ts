/** What a system takes for itself while nothing happens: beside the database, and in etcd. */
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { once } from 'node:events';
import { startContainer } from '../../container/container.ts';
import { seconds } from '../../testbed/until.ts';
import { processCost } from '../process-cost.ts';
import { application } from './client.ts';
import type { CostRecord } from './record.ts';
import type { Site, SiteNode } from './site.ts';

const measuredSeconds = 20;
const wholeMs = seconds(180);
const clients = 4;
const scale = 10;
const programs = '/usr/lib/postgresql/18/bin';

export async function measureCost(site: Site, under: CostRecord['under'], root: string): Promise<CostRecord> {
  await site.whole(wholeMs);
  const primary = await site.primary();
  const [load = 0] = loadavg();
  const date = new Date().toISOString();
  const pgbench = async (...args: readonly string[]): Promise<string> => runPgbench(root, primary, args, site.signal);
  if (under === 'load') await pgbench('-i', '-q', '-s', String(scale));
  const busy =
    under === 'load' ? pgbench('-c', String(clients), '-j', '2', '-T', String(measuredSeconds + 4)) : undefined;
  // Its connections are there, and the first pages read.
  await delay(seconds(2), undefined, { signal: site.signal });
  const before = await look(site);
  await delay(seconds(measuredSeconds), undefined, { signal: site.signal });
  const after = await look(site);
  const elapsed = (after.at - before.at) / 1_000;
  const said = await busy;
  const perMinute = (count: number): number => Math.round((count / elapsed) * 60);
  return {
    kind: 'cost',
    system: site.system.name,
    settings: site.system.settings,
    versions: site.system.versions,
    machine: site.system.machine,
    date,
    load: round(load),
    under,
    seconds: round(elapsed),
    agents: site.nodes.map((node, index) => {
      const [first, last] = [before.agents[index], after.agents[index]];
      return {
        role: node.name === primary.name ? 'primary' : 'replica',
        residentMiB: round(last?.residentMiB ?? 0),
        ownMiB: round(last?.ownMiB ?? 0),
        cpuPercent: round((((last?.cpuSeconds ?? 0) - (first?.cpuSeconds ?? 0)) / elapsed) * 100),
      };
    }),
    etcdWritesPerMinute: perMinute(after.revision - before.revision),
    etcdRequestsPerMinute: perMinute(after.requests - before.requests),
    ...(said !== undefined && { transactionsPerSecond: tps(said) }),
  };
}

interface Look {
  readonly at: number;
  readonly revision: number;
  readonly requests: number;
  readonly agents: readonly { readonly residentMiB: number; readonly ownMiB: number; readonly cpuSeconds: number }[];
}

async function look(site: Site): Promise<Look> {
  const [revision, requests] = await Promise.all([site.etcd.revision(), site.etcd.requests()]);
  const agents = await Promise.all(
    site.nodes.map(async (node) => {
      const costs = await Promise.all(node.companions().map(({ pid }) => processCost(pid)));
      const sum = (part: (cost: (typeof costs)[number]) => number): number =>
        costs.reduce((total, cost) => total + part(cost), 0);
      return {
        residentMiB: sum((cost) => cost.residentMiB),
        ownMiB: sum((cost) => cost.residentMiB - cost.sharedMiB),
        cpuSeconds: sum((cost) => cost.cpuSeconds),
      };
    }),
  );
  return {
    at: performance.now(),
    revision,
    requests: [...requests.values()].reduce((total, count) => total + count, 0),
    agents,
  };
}

async function runPgbench(
  root: string,
  { address }: SiteNode,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { user, password, database } = application;
  const container = startContainer({
    root,
    user: 999,
    argv: ['env', `PGPASSWORD=${password}`, `${programs}/pgbench`, '-h', address, '-U', user, ...args, database],
  });
  let said = '';
  container.child.stdout?.on('data', (text: Buffer) => (said += text.toString()));
  container.child.stderr?.on('data', (text: Buffer) => (said += text.toString()));
  const [code] = (await once(container.child, 'exit', { signal })) as [number | null];
  if (code !== 0) throw new Error(`pgbench ended with ${code ?? 'a signal'}: ${said.slice(-1_000)}`);
  return said;
}

function tps(said: string): number {
  const found = /^tps = ([\d.]+)/m.exec(said)?.[1];
  if (found === undefined) throw new Error(`pgbench told no result: ${said.slice(-1_000)}`);
  return round(Number(found));
}

const round = (value: number): number => Math.round(value * 100) / 100;
