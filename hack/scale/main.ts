/**
 * What an operator costs by the number of its clusters: a real API server, agents played, the operator a process of its own.
 * `--publish` writes docs/benchmarks/scale.md; numbers are the sizes to measure (100 300 1000 if none is given).
 * Last line: `scale: clusters=1000 reconcile_p99_ms=… start_s=… rss_mb=… idle_requests_per_cluster_hour=…`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import process from 'node:process';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import { percentile } from '../bench/statistics.ts';
import { startApiProcess, type ApiProcess } from '../standin/api-process.ts';
import { startStandIn } from '../standin/standin.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';
import { gatherFleet } from './fleet.ts';
import { buildOperator, startOperatorProcess, type Metrics, type OperatorProcess } from './operator-process.ts';
import { publish, type Size } from './page.ts';

const argued = process.argv.slice(2);
const sizes = argued.filter((word) => /^\d+$/.test(word)).map(Number);
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));

const idleSeconds = Number(process.env['IDLE_SECONDS'] ?? '120');
const settleSeconds = 20;
const changes = 300;
const changesPerSecond = 10;
const clusterController = 'database-cluster';
const began = performance.now();

async function measure(server: ApiProcess, wanted: readonly number[]): Promise<readonly Size[]> {
  const { signal } = stop;
  const dcs = etcdDcs({ endpoints: [server.etcdUrl], clock: systemClock });
  startStandIn({ client: server.client, dcs, clock: systemClock, workers: 16, repeatsEveryMs: 60_000 }, signal);
  const fleet = await gatherFleet(server.client, signal);
  const file = await buildOperator();
  let operator = startOperatorProcess(file, server, say);
  const results: Size[] = [];
  try {
    for (const size of wanted) {
      const growing = performance.now();
      const before = fleet.size;
      await fleet.grow(size);
      await fleet.whenReady(seconds(1_800));
      const growSeconds = (performance.now() - growing) / 1000;
      say(`${size} clusters ready, ${before} before, ${growSeconds.toFixed(0)} s`);

      await operator.stop();
      const starting = performance.now();
      operator = startOperatorProcess(file, server, say);
      await observedAll(operator, size);
      const startSeconds = round((performance.now() - starting) / 1000);
      say(`${size}: all looked at ${startSeconds} s after the start`);

      await delay(seconds(settleSeconds), undefined, { signal });
      const idle = await rest(operator, size);
      say(`${size} at rest: ${JSON.stringify(idle)}`);
      const changeMs = await fleet.change(changes, changesPerSecond);
      const all = await fleet.change(size, Infinity);
      say(
        `${size}: change p99 ${percentile(changeMs, 99).toFixed(0)} ms; all at once p99 ${percentile(all, 99).toFixed(0)} ms`,
      );
      await fleet.whenReady(seconds(120));
      results.push({
        clusters: size,
        growSeconds: round(growSeconds),
        grownBy: size - before,
        startSeconds,
        ...idle,
        changeP50Ms: Math.round(percentile(changeMs, 50)),
        changeP99Ms: Math.round(percentile(changeMs, 99)),
        allAtOnceP99Ms: Math.round(percentile(all, 99)),
        peakMegabytes: await operator.peakMegabytes(),
      });
      // Also if it is stopped before the largest.
      if (argued.includes('--publish')) await publish(results);
    }
    return results;
  } finally {
    await operator.stop();
    stop.abort(new Error('measured'));
    await dcs.close();
  }
}

/** Each cluster has been reconciled, and nothing waits. */
async function observedAll(operator: OperatorProcess, size: number): Promise<void> {
  await until(
    'every cluster looked at',
    async () => {
      const metrics = await operator.metrics();
      const done = metrics.sum('controller_runtime_reconcile_total', { controller: clusterController });
      const waiting = metrics.sum('workqueue_depth', { name: clusterController });
      return done >= size && waiting === 0 ? yes(true) : notYet(`${done} reconciles, ${waiting} wait`);
    },
    { within: seconds(600), everyMs: 250, signal: stop.signal },
  );
}

async function rest(
  operator: OperatorProcess,
  size: number,
): Promise<
  Pick<Size, 'residentMegabytes' | 'idleCpuPercent' | 'idleRequestsPerClusterHour' | 'idleReconcilesPerClusterHour'>
> {
  const look = async () => ({
    at: performance.now(),
    cpu: await operator.cpuSeconds(),
    metrics: await operator.metrics(),
  });
  const before = await look();
  await delay(seconds(idleSeconds), undefined, { signal: stop.signal });
  const after = await look();
  const elapsed = (after.at - before.at) / 1000;
  const perClusterHour = (count: (metrics: Metrics) => number): number =>
    round(((count(after.metrics) - count(before.metrics)) / elapsed / size) * 3600);
  return {
    residentMegabytes: await operator.residentMegabytes(),
    idleCpuPercent: round(((after.cpu - before.cpu) / elapsed) * 100),
    // Watches that are opened anew and the operator's own lease are there whatever the number of clusters.
    idleRequestsPerClusterHour: perClusterHour((metrics) => metrics.sum('rest_client_requests_total')),
    idleReconcilesPerClusterHour: perClusterHour((metrics) => metrics.sum('controller_runtime_reconcile_total')),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function say(line: string): void {
  process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
}

const api = await startApiProcess(stop.signal);
try {
  const results = await measure(api, sizes.length > 0 ? sizes : [100, 300, 1000]);
  const last = results.at(-1);
  if (last)
    process.stdout.write(
      `scale: clusters=${last.clusters} reconcile_p99_ms=${last.changeP99Ms} start_s=${last.startSeconds} ` +
        `rss_mb=${last.residentMegabytes} idle_requests_per_cluster_hour=${last.idleRequestsPerClusterHour}\n`,
    );
} finally {
  await api.stop();
}
process.exit(0);
