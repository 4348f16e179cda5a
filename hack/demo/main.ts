/** `make demo`: a cluster loses the node of its primary under load; how long nobody could write, and what was lost. */
import path from 'node:path';
import process from 'node:process';
import { apiServer, type ApiServer } from '../testbed/api-server.ts';
import { chooseCluster, repository } from '../testbed/cluster-access.ts';
import { deploy } from '../testbed/deployment.ts';
import { nodesOf, type Nodes } from '../testbed/nodes.ts';
import { databaseCluster, type ClusterUnderTest, type Primary } from '../testbed/database-cluster.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';
import { startWriter, type FinalReport, type WriterPod } from '../testbed/writer.ts';
import { violationsOf } from '../writer/verdict.ts';
import { clockTime, createStory, secondsOf } from './story.ts';

const engines = {
  postgres: {
    product: 'PostgreSQL',
    kind: 'PostgresCluster',
    short: 'pgc',
    image: 'mainstay.dev/postgres:18',
    example: 'examples/postgres.yaml',
  },
  mysql: {
    product: 'MySQL',
    kind: 'MySQLCluster',
    short: 'myc',
    image: 'mainstay.dev/mysql:9.7',
    example: 'examples/mysql.yaml',
  },
} as const;
const chosen = process.env['ENGINE'] ?? 'postgres';
if (chosen !== 'postgres' && chosen !== 'mysql') throw new Error(`ENGINE is "${chosen}": choose postgres or mysql`);
const engine = engines[chosen];
const resource = engine.kind.toLowerCase();

const namespace = 'default';
const name = 'orders';
/** Marks the cluster as the demo's own: only such a one is deleted by the next run on somebody's cluster. */
const demoLabel = 'mainstay.dev/demo';
/** Enough to see a steady stream before the fault, and after it. */
const steadyWrites = 300;

const story = createStory((text) => void process.stdout.write(text), process.stdout.isTTY);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
const { signal } = stop;

const access = chooseCluster();
const nodes = nodesOf(access, signal);
/** What must not stay behind, whatever happens. */
const afterwards: (() => Promise<unknown>)[] = [() => nodes.restore()];
try {
  const passed = await demo();
  if (!passed) process.exitCode = 1;
} catch (error) {
  process.exitCode = 1;
  story.heading('The demo failed');
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  for (const undo of afterwards.toReversed()) await undo().catch((error: unknown) => story.detail(String(error)));
}

async function demo(): Promise<boolean> {
  story.heading('1 · Kubernetes and Mainstay');
  introduce();
  await deploy(access, { say: story.detail, signal });
  story.tell('Mainstay is installed: operator and etcd are ready.');
  const api = apiServer(access.kubeconfig);
  try {
    return await play(api, databaseCluster({ access, api, signal }, { namespace, name, kind: engine.kind }));
  } finally {
    api.close();
  }
}

async function play(api: ApiServer, orders: ClusterUnderTest): Promise<boolean> {
  story.heading(`2 · A ${engine.product} cluster of three instances`);
  await removeFormer(orders);
  const readyMs = await measure(() => createCluster(orders));
  await orders.fullyRedundant({ within: seconds(120) });
  const primary = await orders.primary();
  story.tell(`Ready after ${secondsOf(readyMs)} s. Primary: ${primary.instance} on node ${primary.node}.`);

  story.heading('3 · A client that writes a row every 10 ms through the Service orders-rw');
  const refuge = await nodeBeside(primary, nodes);
  const writer = await startWriter(
    { access, api, signal },
    { namespace, cluster: name, node: refuge, table: 'demo_writes' },
  );
  afterwards.push(() => writer.remove());
  await written(writer, steadyWrites);
  story.tell(`${(await writer.state()).acked} writes acknowledged; the writer runs on ${refuge}.`);

  story.heading(
    access.kind === 'local' ? `4 · Node ${primary.node} loses power` : `4 · The Pod of ${primary.instance} is killed`,
  );
  await writer.mark('fault');
  const brokenAt = performance.now();
  await breakPrimary(primary);
  const successor = await orders.primaryOtherThan(primary, { within: seconds(120) });
  await writer.acknowledgedAgain({ within: seconds(30) });
  const gap = (await writer.state()).marks['fault']?.longestGap;
  if (gap == null) throw new Error('the writer saw no write since the fault');
  story.tell(`Last write before: ${clockTime(gap.from)} UTC; first write after: ${clockTime(gap.to)} UTC.`);
  story.tell(
    `Nobody could write for ${gap.milliseconds} ms. Primary: ${successor.instance} on node ${successor.node}.`,
  );
  await written(writer, steadyWrites);

  story.heading(access.kind === 'local' ? `5 · Node ${primary.node} comes back` : '5 · The old primary comes back');
  // A Pod is replaced at once, a node only comes back when it is switched on.
  const absentSince = access.kind === 'local' ? performance.now() : brokenAt;
  if (access.kind === 'local') await nodes.powerOn(primary.node);
  await orders.fullyRedundant({ within: seconds(180) });
  const rejoinMs = performance.now() - absentSince;
  story.tell(`3 of 3 again after ${secondsOf(rejoinMs)} s: ${primary.instance} follows ${successor.instance}.`);
  await written(writer, steadyWrites);

  story.heading('6 · Is every acknowledged write there?');
  const report = await writer.stop();
  story.tell(verdictLine(report));
  whatNext();
  // Also what happened while the old node came back.
  const outageMs = report.state.marks['fault']?.longestGap?.milliseconds ?? gap.milliseconds;
  process.stdout.write(
    `\ndemo: outage_ms=${outageMs} acked=${report.acked} lost=${report.lost} ` +
      `ready_s=${secondsOf(readyMs)} rejoin_s=${secondsOf(rejoinMs)}\n`,
  );
  return violationsOf(report).length === 0;
}

function introduce(): void {
  if (access.kind === 'local') {
    story.tell(
      'A local Kubernetes of three nodes on this machine. The first time, everything is built (up to 20 min).',
    );
    return;
  }
  story.tell(`KUBECONFIG is set: this cluster is used (${access.kubeconfig}).`);
  story.tell('Its nodes are not ours to switch off, so the primary’s Pod is killed instead of its node.');
  story.tell(`The images mainstay.dev/mainstay:dev, ${engine.image} and mainstay.dev/etcd:3.6 must be on its nodes:`);
  story.tell(
    '`make images` prints the archives; load them with your cluster’s own command, as in `kind load image-archive FILE`.',
  );
}

async function removeFormer(orders: ClusterUnderTest): Promise<void> {
  const former = await orders.resource();
  const volumes = await orders.volumes();
  if (former === undefined && volumes.length === 0) return;
  const ours = former?.metadata.labels?.[demoLabel] !== undefined;
  if (access.kind === 'own' && !ours) {
    throw new Error(
      `${namespace}/${name} or volumes of that name are there already and were not made by the demo: ` +
        'remove or rename them, or run the demo without KUBECONFIG.',
    );
  }
  story.tell('The cluster of an earlier demo is removed, with its volumes.');
  await orders.delete({ within: seconds(120) });
  const claims = volumes.map((volume) => `persistentvolumeclaim/${volume.metadata?.name ?? ''}`);
  if (claims.length === 0) return;
  await access.kubectl(['delete', '--namespace', namespace, '--ignore-not-found', '--wait=true', ...claims], {
    signal,
  });
}

async function createCluster(orders: ClusterUnderTest): Promise<void> {
  story.tell(`kubectl apply -f ${engine.example}`);
  await access.kubectl(['apply', '--filename', path.join(repository, engine.example)], { signal });
  await access.kubectl(['label', '--namespace', namespace, `${resource}s.mainstay.dev/${name}`, `${demoLabel}=true`], {
    signal,
  });
  story.tell(`Waiting as kubectl wait --for=condition=Ready ${resource}/${name} would.`);
  await orders.ready({ within: seconds(240) });
}

async function breakPrimary(primary: Primary): Promise<void> {
  if (access.kind === 'local') {
    await nodes.powerOff(primary.node);
    story.tell(`${primary.node} is off: no process of it runs, nothing was told to stop.`);
    return;
  }
  await access.kubectl(
    ['delete', 'pod', '--namespace', namespace, primary.instance, '--grace-period=0', '--force', '--wait=false'],
    { signal },
  );
  story.tell(`${primary.instance} was killed without notice.`);
}

async function written(writer: WriterPod, more: number): Promise<void> {
  const start = (await writer.state()).acked;
  await until(
    `${more} more acknowledged writes`,
    async () => {
      const { acked } = await writer.state();
      return acked >= start + more ? yes(undefined) : notYet(`${acked - start}`);
    },
    { within: seconds(120), everyMs: 200, signal },
  );
}

function verdictLine(report: FinalReport): string {
  const found = `${report.acked} writes were acknowledged, ${report.acked - report.lost} of them are there`;
  const unknown = `${report.state.unknown} got no answer (${report.unknownPresent} of them are there, which is as right as not)`;
  const lost = report.lost === 0 ? 'Nothing is lost.' : `LOST: ${report.lost}, ids ${report.lostIds.join(', ')}`;
  return `${found}; ${unknown}. ${lost}`;
}

async function nodeBeside(primary: Primary, all: Nodes): Promise<string> {
  const others = (await all.names()).filter((node) => node !== primary.node);
  return others[0] ?? primary.node;
}

async function measure(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function whatNext(): void {
  const lines =
    access.kind === 'local'
      ? [
          `export KUBECONFIG=${access.kubeconfig}`,
          `export PATH=${path.join(path.dirname(access.kubeconfig), 'bin')}:$PATH`,
        ]
      : [];
  story.heading('The cluster is left running. Try next:');
  const commands = [
    ...lines,
    `kubectl get ${engine.short} -o wide`,
    `kubectl describe ${resource} ${name}`,
    `kubectl get pods -l mainstay.dev/cluster=${name} -L mainstay.dev/role -o wide`,
    `kubectl scale ${resource} ${name} --replicas=5`,
    `kubectl delete pod ${name}-1 --grace-period=0 --force`,
    `kubectl get secret ${name}-app -o jsonpath='{.data.uri}' | base64 -d`,
    ...(access.kind === 'local' ? ['make clean                                  # removes all of it'] : []),
  ];
  for (const command of commands) process.stdout.write(`  ${command}\n`);
}
