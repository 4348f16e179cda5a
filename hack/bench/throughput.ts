/** What the agents cost a busy database: the same load on the cluster, and on the same servers without any of Mainstay. */
import { cpus, loadavg } from 'node:os';
import { seconds } from '../testbed/until.ts';
import type { Arena } from './arena.ts';
import type { InstancePod } from '../testbed/database-cluster.ts';
import { startPlainPair, type PlainPair } from './plain-pair.ts';
import type { Measured, Measurement } from './scenario.ts';
import { median } from './statistics.ts';

const goal = 0.97;
const pairs = 5;
const defaultMinutes = 1 / 3;
const warmUpSeconds = 5;
/** Accounts in memory: it is the way of a commit that is measured, not the disk. */
const scale = 10;
const clients = 8;
const pod = 'load';
const commandMs = seconds(300);

export interface Load {
  /** What it does, for the page. */
  readonly about: string;
  readonly startPair: (arena: Arena, primary: InstancePod, replica: InstancePod) => Promise<PlainPair>;
  /** Command lines for bash in the client's Pod, where `$user`, `$password` and `$database` are known. */
  readonly prepare: (address: string) => string;
  readonly run: (address: string, runSeconds: number) => string;
  /** Transactions per second, of what `run` prints; undefined: it has failed. */
  readonly rateIn: (said: string) => number | undefined;
}

const pgbench: Load = {
  about: `pgbench -c ${clients} -j 2, scale ${scale}, TPC-B-like`,
  startPair: startPlainPair,
  prepare: (address) => `PGPASSWORD=$password pgbench -h ${address} -U $user -i -q -s ${scale} $database`,
  run: (address, runSeconds) =>
    `PGPASSWORD=$password pgbench -h ${address} -U $user -n -c ${clients} -j 2 -T ${runSeconds} $database`,
  rateIn: (said) =>
    /number of failed transactions: 0 /.test(said) ? Number(/^tps = ([\d.]+)/m.exec(said)?.[1]) : undefined,
};

export const throughput: Measurement = {
  kind: 'measurement',
  name: 'throughput',
  title: 'pgbench with the agents and without',
  measure: (arena, options) => measureThroughput(arena, pgbench, options),
};

export async function measureThroughput(
  arena: Arena,
  load: Load,
  { minutes = defaultMinutes }: { readonly minutes: number | undefined },
): Promise<Measured> {
  const runSeconds = Math.max(1, Math.round(minutes * 60));
  await using cleanUp = new AsyncDisposableStack();
  await arena.useDurability('Strict');
  cleanUp.defer(() => arena.orders.scaleTo(3));
  await arena.orders.scaleTo(2);
  await arena.whole();
  const { node } = await arena.primary();
  const replica = arena.instances().find((one) => one.node !== node);
  const primary = arena.instances().find((one) => one.node === node);
  if (primary === undefined || replica === undefined) throw new Error('the cluster has not two instances on two nodes');
  const plain = await load.startPair(arena, primary, replica);
  cleanUp.defer(plain.remove);
  const client = await startClient(arena, load, [primary.node, replica.node], primary.name);
  cleanUp.defer(client.remove);
  cleanUp.defer(() => arena.useOperator(true));

  let agentsRun = true;
  /** Without: no operator, no agents, no database of Mainstay's. */
  const useAgents = async (run: boolean): Promise<void> => {
    if (run === agentsRun) return;
    await arena.useOperator(run);
    if (run) {
      await arena.whole();
      await arena.leadFrom(node);
    } else {
      const names = arena.instances().map(({ name }) => name);
      await arena.access.kubectl(['delete', 'pod', ...names, '--namespace', arena.orders.namespace, '--wait=true'], {
        timeoutMs: commandMs,
      });
    }
    agentsRun = run;
  };
  const measureOnce = async (withAgents: boolean): Promise<number> => {
    await useAgents(withAgents);
    const leader = await (withAgents ? arena.primary() : undefined);
    const address = arena.instances().find(({ name }) => name === leader?.instance)?.ip ?? plain.address;
    await client.run(address, warmUpSeconds);
    return client.run(address, runSeconds);
  };

  await client.prepare(primary.ip);
  await client.prepare(plain.address);
  const done: { readonly withAgents: number; readonly without: number }[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const tps = new Map<boolean, number>();
    // The order changes from pair to pair, so that nothing is always second.
    for (const withAgents of pair % 2 === 0 ? [true, false] : [false, true])
      tps.set(withAgents, await measureOnce(withAgents));
    done.push({ withAgents: tps.get(true) ?? 0, without: tps.get(false) ?? 0 });
  }
  await useAgents(true);

  const ratios = done.map(({ withAgents, without }) => withAgents / without);
  const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;
  return {
    passed: median(ratios) >= goal,
    lines: [
      `${pairs} pairs of ${runSeconds} s, in turn: median ${percent(median(ratios))} of the throughput without Mainstay, ` +
        `from ${percent(Math.min(...ratios))} to ${percent(Math.max(...ratios))} (goal ${percent(goal)})`,
      `transactions per second with agents and operator: ${done.map(({ withAgents }) => withAgents.toFixed(0)).join(', ')}; ` +
        `without: ${done.map(({ without }) => without.toFixed(0)).join(', ')}`,
      `${load.about}, from a third node; primary and one replica that must acknowledge, ` +
        `the same image, configuration, TLS and nodes. Without: the cluster's Pods and the operator are stopped`,
      `load average of the machine over the last quarter of an hour: ${(loadavg()[2] ?? 0).toFixed(1)} on ${cpus().length} cores`,
    ],
    data: { pairs: done, ratios, runSeconds },
  };
}

interface Client {
  readonly prepare: (address: string) => Promise<void>;
  /** Transactions per second. */
  readonly run: (address: string, runSeconds: number) => Promise<number>;
  readonly remove: () => Promise<void>;
}

async function startClient(arena: Arena, load: Load, busy: readonly string[], like: string): Promise<Client> {
  const { access, orders, signal } = arena;
  const inNamespace = ['--namespace', orders.namespace];
  const node = (await arena.nodes.names()).find((name) => !busy.includes(name));
  const image = await access.kubectl(
    ['get', 'pod', like, ...inNamespace, '--output', 'jsonpath={.spec.containers[0].image}'],
    { signal },
  );
  const remove = async (): Promise<void> => {
    await access.kubectl(['delete', 'pod', pod, ...inNamespace, '--ignore-not-found', '--grace-period=1']);
  };
  await remove();
  const spec = {
    nodeName: node,
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    containers: [
      {
        name: pod,
        image,
        imagePullPolicy: 'IfNotPresent',
        command: ['sleep', 'infinity'],
        volumeMounts: [{ name: 'app', mountPath: '/etc/app', readOnly: true }],
      },
    ],
    volumes: [{ name: 'app', secret: { secretName: `${orders.name}-app` } }],
  };
  await access.kubectl(['create', ...inNamespace, '-f', '-'], {
    signal,
    input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: pod }, spec }),
  });
  await access.kubectl(['wait', ...inNamespace, `pod/${pod}`, '--for=condition=Ready', '--timeout=60s'], {
    signal,
    timeoutMs: seconds(70),
  });
  const inside = (command: string): Promise<string> =>
    access.kubectl(
      [
        ...['exec', ...inNamespace, pod, '--', 'bash', '-ec'],
        `user=$(cat /etc/app/username) password=$(cat /etc/app/password) database=$(cat /etc/app/dbname); ${command}`,
      ],
      { signal, timeoutMs: commandMs },
    );
  return {
    prepare: async (address) => {
      await inside(load.prepare(address));
    },
    run: async (address, runSeconds) => {
      const said = await inside(load.run(address, runSeconds));
      const rate = load.rateIn(said);
      if (rate === undefined || !(rate > 0)) throw new Error(`the load: ${said}`);
      return rate;
    },
    remove,
  };
}
