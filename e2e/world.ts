/** Builds what scenarios are given, and takes it down again. Scenarios share one cluster `orders` as long as it stays healthy. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import type { ApiServer } from '../hack/testbed/api-server.ts';
import { clusterState } from '../hack/testbed/cluster-state.ts';
import { repository, type ClusterAccess } from '../hack/testbed/cluster-access.ts';
import { etcdMembers } from '../hack/testbed/etcd-members.ts';
import { nodesOf } from '../hack/testbed/nodes.ts';
import { operatorOf } from '../hack/testbed/operator-deployment.ts';
import { postgresCluster, type Primary } from '../hack/testbed/postgres-cluster.ts';
import { startWriter, type FinalReport, type WriterOptions, type WriterPod } from '../hack/testbed/writer.ts';
import { budgets } from './budgets.ts';
import type { Client, Orders, Scenario, World } from './scenario.ts';

export interface Stage {
  readonly namespace: () => string;
  /** The cluster that the scenario asks for, fresh or left healthy by the one before. */
  readonly prepare: (scenario: Scenario, signal: AbortSignal) => Promise<PreparedWorld>;
  /** The next scenario starts in a new namespace. */
  readonly giveUp: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

export interface PreparedWorld {
  readonly world: World;
  /** Ends the client, if there is one, and compares what it was promised with what is there. */
  readonly finish: () => Promise<FinalReport | undefined>;
  /** Nodes on, operator up, client gone; also after a failure. */
  readonly restore: () => Promise<void>;
}

const label = 'mainstay.dev/e2e';
const name = 'orders';
/** Connections of the client: with more than one an acknowledgement may come after one of a newer primary. */
const lanes = 3;

export async function openStage(access: ClusterAccess, api: ApiServer, signal: AbortSignal): Promise<Stage> {
  await access.kubectl(['delete', 'namespace', '--selector', label, '--wait=true'], { signal, timeoutMs: 180_000 });
  let round = 0;
  let table = 0;
  const namespace = (): string => (round <= 1 ? 'mainstay-e2e' : `mainstay-e2e-${round}`);
  const open = async (): Promise<void> => {
    round += 1;
    const metadata = { name: namespace(), labels: { [label]: 'true' } };
    await access.kubectl(['apply', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata }),
      signal,
    });
  };
  const ordersIn = (within: AbortSignal): Orders => ({
    ...postgresCluster({ access, api, signal: within }, { namespace: namespace(), name }),
    apply: async () => {
      await access.kubectl(['apply', '-f', '-'], { input: await manifestIn(namespace()), signal: within });
    },
    requestSwitchover: async (from, to) => {
      const etcd = await etcdMembers(api);
      const state = clusterState(() => etcd, within);
      const uid = (await ordersIn(within).resource())?.metadata.uid ?? '';
      await state.requestSwitchover({ namespace: namespace(), name, uid }, from, to).finally(state.close);
    },
  });
  const leave = async (): Promise<void> => {
    await access.kubectl(['delete', 'namespace', namespace(), '--wait=false', '--ignore-not-found']);
    await open();
  };
  await open();

  return {
    namespace,
    prepare: async (scenario, within) => {
      const wantsNone = scenario.options.orders === 'none';
      const isThere = (await ordersIn(within).resource()) !== undefined;
      if (wantsNone && isThere) await leave();
      const orders = ordersIn(within);
      if (!wantsNone) {
        if (!isThere) await orders.apply();
        await orders.fullyRedundant({ within: budgets.readyMs });
      }
      table += 1;
      return prepared({ access, api, signal: within }, orders, `writes_${table}`);
    },
    giveUp: leave,
    remove: async () => {
      await access.kubectl(['delete', 'namespace', '--selector', label, '--wait=true'], { timeoutMs: 180_000 });
    },
  };
}

function prepared(
  context: { readonly access: ClusterAccess; readonly api: ApiServer; readonly signal: AbortSignal },
  orders: Orders,
  table: string,
): PreparedWorld {
  const nodes = nodesOf(context.access, context.signal);
  const operator = operatorOf(context.access, context.signal);
  let pod: WriterPod | undefined;
  let report: Promise<FinalReport> | undefined;
  const start = async (primary: Primary, how: Pick<WriterOptions, 'lanes' | 'hosts' | 'reach'>): Promise<WriterPod> => {
    const node = (await nodes.names()).find((candidate) => candidate !== primary.node) ?? primary.node;
    return startWriter(context, { namespace: orders.namespace, cluster: name, node, table, ...how });
  };
  return {
    world: {
      orders,
      nodes,
      operator,
      access: context.access,
      api: context.api,
      writeBeside: async (primary, how) => {
        const hosts = how === undefined ? [] : (await orders.pods()).map(({ ip }) => ip);
        const started = await start(primary, { lanes, ...(how === undefined ? {} : { hosts, reach: 'direct' }) });
        pod = started;
        report = undefined;
        await started.acknowledgedAgain({ within: budgets.outageMs });
        return { ...client(started), stop: () => (report ??= started.stop()) };
      },
      readerBeside: (primary) => start(primary, { lanes: 0 }),
    },
    finish: async () => {
      if (pod === undefined) return undefined;
      return (report ??= pod.stop());
    },
    restore: async () => {
      await Promise.all([nodes.restore(), operator.restore(), pod?.remove()]);
    },
  };
}

function client(pod: WriterPod): Client {
  const mark = 'trouble';
  return {
    ...pod,
    expectTrouble: () => pod.mark(mark),
    outageIsAtMost: async (milliseconds) => {
      const outage = (await pod.state()).marks[mark]?.longestGap?.milliseconds ?? 0;
      if (outage > milliseconds) throw new Error(`nobody could write for ${outage} ms, more than ${milliseconds} ms`);
    },
  };
}

/** What the README shows is what is tested. */
async function manifestIn(namespace: string): Promise<string> {
  const example = parse(await readFile(path.join(repository, 'examples/postgres.yaml'), 'utf8')) as {
    readonly metadata: object;
  };
  return stringify({ ...example, metadata: { ...example.metadata, namespace, name } });
}
