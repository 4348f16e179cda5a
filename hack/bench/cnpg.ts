/**
 * `node hack/bench/cnpg.ts [--runs N] [CASE …]`: CloudNativePG on the local cluster, through its `-rw` Service, struck as
 * Mainstay is there (main.ts). For whoever has what this machine's registries do not: its manifest and images, named by
 * CNPG_MANIFEST (a file), CNPG_IMAGES (archives of all images, separated by spaces) and CNPG_POSTGRES (name of the database's image).
 */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { apiServer } from '../testbed/api-server.ts';
import { chooseCluster } from '../testbed/cluster-access.ts';
import { deploy, load } from '../testbed/deployment.ts';
import { nodesOf } from '../testbed/nodes.ts';
import { databaseProcesses, processesOf, signalTo } from '../testbed/pod-processes.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';
import { startWriter } from '../testbed/writer.ts';
import { rawResults } from './results.ts';
import type { Heal } from './scenario.ts';
import { percentile } from './statistics.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' } },
});
const settings = z
  .object({
    CNPG_MANIFEST: z.string().refine(existsSync, 'is no file: give the release’s manifest'),
    CNPG_IMAGES: z
      .string()
      .transform((text) => text.split(/\s+/).filter((name) => name !== ''))
      .refine((files) => files.length > 0 && files.every((file) => existsSync(file)), 'names a file that is not there'),
    CNPG_POSTGRES: z.string().min(1),
  })
  .safeParse(process.env);
if (!settings.success) {
  process.stderr.write(
    `make bench PEER=cnpg needs CNPG_MANIFEST, CNPG_IMAGES and CNPG_POSTGRES: ${z.prettifyError(settings.error)}\n`,
  );
  process.exit(2);
}
const { CNPG_MANIFEST: manifest, CNPG_IMAGES: archives, CNPG_POSTGRES: image } = settings.data;

const namespace = 'cnpg-bench';
const name = 'orders';
const resource = `clusters.postgresql.cnpg.io/${name}`;
const readyMs = seconds(600);
/** Its own limits are in minutes. */
const patienceMs = seconds(600);
const mark = 'strike';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
const { signal } = stop;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const access = chooseCluster();
if (access.kind === 'own')
  throw new Error('The benchmark switches nodes off: it runs on the local cluster only. Unset KUBECONFIG.');
// The writer's image is Mainstay's; its operator has nothing to do here.
await deploy(access, { say, signal });
await load(
  archives.map((archive) => ({ name: archive, archive })),
  { say, signal },
);
const api = apiServer(access.kubeconfig);
const nodes = nodesOf(access, signal);

const Pod = z.object({
  metadata: z.object({ name: z.string(), uid: z.string() }),
  spec: z.object({ nodeName: z.string() }),
});
const Cluster = z.object({
  status: z.object({ currentPrimary: z.string().optional(), readyInstances: z.number().optional() }).default({}),
});
type Target = z.output<typeof Pod>;

const cluster = async (): Promise<z.output<typeof Cluster>['status']> =>
  Cluster.parse(JSON.parse(await access.kubectl(['get', resource, '-n', namespace, '-o', 'json'], { signal }))).status;
const pods = async (): Promise<readonly Target[]> =>
  z.object({ items: z.array(Pod) }).parse(
    JSON.parse(
      await access.kubectl(['get', 'pods', '-n', namespace, '-l', `cnpg.io/cluster=${name}`, '-o', 'json'], {
        signal,
      }),
    ),
  ).items;
const whole = (): Promise<string> =>
  until(
    'three ready instances',
    async () => {
      const { currentPrimary, readyInstances = 0 } = await cluster();
      return readyInstances === 3 && currentPrimary !== undefined ? yes(currentPrimary) : notYet(`${readyInstances}`);
    },
    { within: readyMs, signal },
  );

/** Names as in faults.ts. */
const strikes: Readonly<Record<string, (primary: Target, others: readonly Target[]) => Promise<Heal | undefined>>> = {
  // What `kubectl cnpg promote` writes.
  switchover: async (_, [target]) => {
    const status = {
      targetPrimary: target?.metadata.name,
      targetPrimaryTimestamp: new Date().toISOString(),
      phase: 'Switchover in progress',
      phaseReason: 'asked for by a benchmark',
    };
    const patch = ['--subresource=status', '--type=merge', '--patch', JSON.stringify({ status })];
    await access.kubectl(['patch', resource, '-n', namespace, ...patch], { signal });
    return undefined;
  },
  'postgres-killed': async ({ metadata }) => {
    signalTo((await databaseProcesses(metadata.uid)).slice(0, 1), 'SIGKILL');
    return undefined;
  },
  'agent-killed': async ({ metadata }) => {
    const all = await processesOf(metadata.uid);
    signalTo(
      all.filter(({ command }) => /manager instance run/.test(command)),
      'SIGKILL',
    );
    return undefined;
  },
  'node-lost': async ({ spec }) => {
    await nodes.powerOff(spec.nodeName);
    return () => nodes.powerOn(spec.nodeName);
  },
  'node-partitioned': async ({ spec }) => {
    await nodes.cutOff(spec.nodeName);
    return nodes.heal;
  },
  'postgres-stopped': async ({ metadata }) => {
    const stopped = await databaseProcesses(metadata.uid);
    signalTo(stopped, 'SIGSTOP');
    return () => signalTo(stopped, 'SIGCONT');
  },
};

const chosen = positionals.length > 0 ? positionals : Object.keys(strikes);
const strange = chosen.filter((one) => strikes[one] === undefined);
if (strange.length > 0)
  throw new Error(`no such case: ${strange.join()}. There are: ${Object.keys(strikes).join(' ')}`);
const raw = rawResults(`cnpg-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
const remove = (): Promise<string> =>
  access.kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=true'], { timeoutMs: readyMs });
try {
  await access.kubectl(['apply', '--server-side', '--force-conflicts', '-f', manifest], { signal, timeoutMs: readyMs });
  const operator = ['-n', 'cnpg-system', 'deployment', '--all', '--for=condition=Available', '--timeout=300s'];
  await access.kubectl(['wait', ...operator], { signal, timeoutMs: readyMs });
  await remove();
  await access.kubectl(['create', 'namespace', namespace], { signal });
  await access.kubectl(['apply', '-f', '-'], {
    signal,
    timeoutMs: readyMs,
    input: JSON.stringify({
      apiVersion: 'postgresql.cnpg.io/v1',
      kind: 'Cluster',
      metadata: { name, namespace },
      spec: {
        instances: 3,
        imageName: image,
        storage: { size: '1Gi' },
        postgresql: { synchronous: { method: 'any', number: 1, dataDurability: 'required' } },
      },
    }),
  });
  await whole();
  for (const one of chosen) {
    const outages: number[] = [];
    for (let run = 0; run < Number(values.runs); run += 1) outages.push(await strike(one, run));
    say(`${one}: n ${outages.length}, p50 ${percentile(outages, 50)} ms, max ${Math.max(...outages)} ms`);
  }
} finally {
  await nodes.restore();
  await remove();
  api.close();
}

async function strike(what: string, run: number): Promise<number> {
  const primaryName = await whole();
  const all = await pods();
  const primary = all.find(({ metadata }) => metadata.name === primaryName);
  const others = all.filter((pod) => pod !== primary);
  if (primary === undefined) throw new Error(`${primaryName} has no Pod`);
  const writer = await startWriter(
    { access, api, signal },
    { namespace, cluster: name, node: others[run % others.length]?.spec.nodeName ?? '', table: `writes_${Date.now()}` },
  );
  try {
    await writer.acknowledgedAgain({ within: readyMs, writes: 200 });
    await writer.mark(mark);
    const heal = await strikes[what]?.(primary, others);
    // What takes its time to interrupt service has done so by then.
    await until(
      'another primary, or an interruption that is over',
      async () => {
        const { sinceLastAckMs, marks } = await writer.state();
        const interrupted = (marks[mark]?.longestGap?.milliseconds ?? 0) > 1_000;
        return interrupted && (sinceLastAckMs ?? Infinity) < 1_000 ? yes(undefined) : notYet('not back');
      },
      { within: patienceMs, signal },
    ).catch((error: unknown) => {
      signal.throwIfAborted();
      say(`  ${String(error)}`);
    });
    await heal?.();
    await whole();
    const report = await writer.stop();
    const outageMs = report.state.marks[mark]?.longestGap?.milliseconds ?? 0;
    await raw({
      system: 'CloudNativePG',
      case: what,
      run,
      outage_ms: outageMs,
      acked: report.acked,
      lost: report.lost,
    });
    say(`  ${what} ${run}: ${outageMs} ms, ${report.lost} of ${report.acked} lost`);
    return outageMs;
  } finally {
    await writer.remove();
  }
}
