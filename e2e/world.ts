/** Builds what scenarios are given, and takes it down again. Scenarios share one cluster `orders` as long as it stays healthy. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import type { ApiServer } from '../hack/testbed/api-server.ts';
import { clusterState, type ClusterState } from '../hack/testbed/cluster-state.ts';
import { repository, type ClusterAccess } from '../hack/testbed/cluster-access.ts';
import { resourceOf, type TestedEngine } from '../hack/testbed/engines.ts';
import { etcdMembers } from '../hack/testbed/etcd-members.ts';
import { nodesOf } from '../hack/testbed/nodes.ts';
import { operatorOf } from '../hack/testbed/operator-deployment.ts';
import { databaseCluster, type Primary } from '../hack/testbed/database-cluster.ts';
import { startWriter, type FinalReport, type WriterOptions, type WriterPod } from '../hack/testbed/writer.ts';
import { notYet, until, yes } from '../hack/testbed/until.ts';
import { readServices } from '../hack/writer/reads.ts';
import type { ClusterIdentity } from '../operator/api/cluster-state.ts';
import type { ClusterRuntime } from '../operator/controllers/cluster-runtime.ts';
import type { Random } from '../operator/simulation/random.ts';
import { budgets } from './budgets.ts';
import { faultsOn } from './faults.ts';
import type { Client, Orders, Scenario, World } from './scenario.ts';

export interface Stage {
  readonly engine: TestedEngine;
  readonly namespace: () => string;
  /** The cluster that the scenario asks for, fresh or left healthy by the one before. */
  readonly prepare: (scenario: Scenario, occasion: Occasion) => Promise<PreparedWorld>;
  /** The next scenario starts in a new namespace. */
  readonly giveUp: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

export interface Occasion {
  readonly signal: AbortSignal;
  readonly random: Random;
  /** No operator runs from the beginning to the end. */
  readonly withoutOperator: boolean;
}

export interface PreparedWorld {
  readonly world: World;
  /** Ends the clients, and compares what they were promised with what is there. */
  readonly finish: () => Promise<readonly FinalReport[]>;
  /** Nodes on, operator up, client gone; also after a failure. */
  readonly restore: () => Promise<void>;
}

const label = 'mainstay.dev/e2e';
const name = 'orders';
/** Connections of the client: with more than one an acknowledgement may come after one of a newer primary. */
const lanes = 3;

/** A statement that fills tables on a busy machine. */
const insideMs = 180_000;

/** `version`: of the database, in place of the default. */
export async function openStage(
  access: ClusterAccess,
  api: ApiServer,
  signal: AbortSignal,
  { engine, version }: { readonly engine: TestedEngine; readonly version?: string | undefined },
): Promise<Stage> {
  const usual = version === undefined ? {} : { version };
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
  const ordersIn = (within: AbortSignal): Orders => {
    const cluster = databaseCluster(
      { access, api, signal: within },
      { namespace: namespace(), name, kind: engine.kind },
    );
    const withState = async <T>(use: (state: ClusterState, cluster: ClusterIdentity) => Promise<T>): Promise<T> => {
      const etcd = await etcdMembers(api);
      const state = clusterState(() => etcd, within);
      const { metadata, status } = (await cluster.resource()) ?? {};
      // Made anew over kept volumes, a cluster keeps the identity of its data.
      const uid = status?.dataUid ?? metadata?.uid ?? '';
      return use(state, { namespace: namespace(), name, uid }).finally(state.close);
    };
    const inside = (instance: string, command: readonly string[]): Promise<string> =>
      access.kubectl(['exec', '--namespace', namespace(), instance, '--container', engine.name, '--', ...command], {
        signal: within,
        timeoutMs: insideMs,
      });
    const runtime = (): Promise<ClusterRuntime> => withState((state, identity) => state.read(identity));
    return {
      ...cluster,
      engine,
      apply: async (spec) => {
        const input = await manifestIn(engine.example, namespace(), { ...usual, ...spec });
        await access.kubectl(['apply', '-f', '-'], { input, signal: within });
      },
      change: async (spec) => {
        const patch = ['--type', 'merge', '--patch', JSON.stringify({ spec })];
        await access.kubectl(['patch', '--namespace', namespace(), `${resourceOf(engine)}/${name}`, ...patch], {
          signal: within,
        });
      },
      replicas: async () => {
        const primary = await cluster.primary();
        return (await cluster.pods()).filter((pod) => pod.name !== primary.instance);
      },
      sql: (instance, sql) => inside(instance, engine.client(sql)),
      shell: (instance, command) => inside(instance, ['bash', '-c', command]),
      runtime,
      requestSwitchover: (from, to) => withState((state, identity) => state.requestSwitchover(identity, from, to)),
      requestAdoption: (id) => withState((state, identity) => state.requestAdoption(identity, id)),
      allCount: (patience) =>
        until(
          'every replica in the sync set',
          async () => {
            const { leader, sync, members } = await runtime();
            if (leader === undefined || sync === undefined) return notYet('no leader');
            const missing = (await cluster.pods())
              .map((pod) => pod.name)
              .filter((one) => one !== leader.instance)
              .filter(
                (one) =>
                  members.get(one)?.state !== 'streaming' || !sync.members.some((member) => member.instance === one),
              );
            return missing.length === 0 ? yes(undefined) : notYet(`not counted: ${missing.join(', ')}`);
          },
          { ...patience, signal: within },
        ),
    };
  };
  const leave = async (): Promise<void> => {
    await access.kubectl(['delete', 'namespace', namespace(), '--wait=false', '--ignore-not-found']);
    await open();
  };
  await open();

  return {
    engine,
    namespace,
    prepare: async (scenario, occasion) => {
      const { signal: within } = occasion;
      const wantsNone = scenario.options.orders === 'none';
      const isThere = (await ordersIn(within).resource()) !== undefined;
      if (wantsNone && isThere) await leave();
      const orders = ordersIn(within);
      if (!wantsNone) {
        if (!isThere) await orders.apply();
        await orders.fullyRedundant({ within: budgets.readyMs });
        if (access.kind === 'local') await orders.allCount({ within: budgets.redundantMs });
      }
      table += 1;
      const world = prepared({ access, api, ...occasion }, orders, `writes_${table}`);
      if (occasion.withoutOperator) await world.world.operator.scaleTo(0);
      return world;
    },
    giveUp: leave,
    remove: async () => {
      await access.kubectl(['delete', 'namespace', '--selector', label, '--wait=true'], { timeoutMs: 180_000 });
    },
  };
}

function prepared(
  context: Occasion & { readonly access: ClusterAccess; readonly api: ApiServer },
  plain: Orders,
  table: string,
): PreparedWorld {
  const nodes = nodesOf(context.access, context.signal);
  const operator = operatorOf(context.access, context.signal);
  const orders: Orders = {
    ...plain,
    fullyRedundant: (patience) =>
      plain.fullyRedundant({ ...(context.withoutOperator && { withoutOperator: true }), ...patience }),
  };
  const faults = faultsOn(context, orders, nodes);
  /** Those that write, each with its report once it has ended. */
  const clients: { readonly pod: WriterPod; report?: Promise<FinalReport> }[] = [];
  const start = async (primary: Primary, how: Partial<WriterOptions>): Promise<WriterPod> => {
    const node = (await nodes.names()).find((candidate) => candidate !== primary.node) ?? primary.node;
    return startWriter(context, { namespace: orders.namespace, cluster: name, node, table, ...how });
  };
  const writing = async (pod: WriterPod): Promise<Client> => {
    const entry: (typeof clients)[number] = { pod };
    clients.push(entry);
    await pod.acknowledgedAgain({ within: budgets.outageMs });
    return { ...client(pod), stop: () => (entry.report ??= pod.stop()) };
  };
  return {
    world: {
      orders,
      nodes,
      operator,
      faults,
      random: context.random,
      access: context.access,
      api: context.api,
      signal: context.signal,
      writeBeside: async (primary, how) => {
        const { readers, awayFrom = [] } = how ?? {};
        const hosts = how?.hosts === undefined ? [] : (await orders.pods()).map(({ ip }) => ip);
        const apart = (await nodes.names()).filter((one) => !awayFrom.includes(one));
        const away = apart.find((one) => one !== primary.node) ?? apart[0];
        // One after another, each numbers its writes from 1.
        const own = clients.length === 0 ? table : `${table}_${clients.length + 1}`;
        const options = {
          ...{ lanes, table: own },
          ...(awayFrom.length > 0 && away !== undefined && { node: away }),
          ...(how !== undefined && { hosts, reach: 'direct' as const }),
          ...(readers !== undefined && { readers: readServices }),
        };
        return writing(await start(primary, options));
      },
      clientOf: async (primary) => {
        const ip = (await orders.pods()).find((pod) => pod.name === primary.instance)?.ip ?? '';
        const alone = { name: 'rival', table: `${table}_rival`, node: primary.node, hosts: [ip] };
        return writing(await start(primary, alone));
      },
      readerBeside: (primary) => start(primary, { lanes: 0 }),
    },
    finish: () => Promise.all(clients.map((entry) => (entry.report ??= entry.pod.stop()))),
    restore: async () => {
      // Frozen disks, stopped processes first: what comes next may wait for them.
      await faults.restore();
      await Promise.all([nodes.restore(), operator.restore(), ...clients.map(({ pod }) => pod.remove())]);
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

async function manifestIn(file: string, namespace: string, spec: object): Promise<string> {
  const example = parse(await readFile(path.join(repository, file), 'utf8')) as {
    readonly metadata: object;
    readonly spec: object;
  };
  return stringify({
    ...example,
    metadata: { ...example.metadata, namespace, name },
    spec: { ...example.spec, ...spec },
  });
}
