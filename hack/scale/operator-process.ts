/** The operator as people run it: bundled, a process of its own, looked at from outside. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { bundleProgram } from '../build/bundle.ts';
import type { ApiProcess } from '../standin/api-process.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';

export interface OperatorProcess {
  readonly pid: number;
  metrics(): Promise<Metrics>;
  /** CPU seconds so far. */
  cpuSeconds(): Promise<number>;
  residentMegabytes(): Promise<number>;
  /** The most it has ever been. */
  peakMegabytes(): Promise<number>;
  stop(): Promise<void>;
}

/** Sums by name of the metric, over all labels but those asked for. */
export interface Metrics {
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** As in charts/mainstay/templates/operator/deployment.yaml. */
const chartFlags = ['--max-semi-space-size=8', '--max-old-space-size=384'];
/** Such as --cpu-prof, for who wants to know where the time goes. */
const nodeFlags = (process.env['OPERATOR_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
const httpPort = 18_080;
const ticksPerSecond = 100;
const stopWithin = seconds(30);

export async function buildOperator(): Promise<string> {
  return (await bundleProgram('operator')).file;
}

/** Resolves as soon as it runs; whether it has seen everything is another question. */
export function startOperatorProcess(file: string, api: ApiProcess, tell: (line: string) => void): OperatorProcess {
  const child = spawn(process.execPath, [...chartFlags, ...nodeFlags, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      MALLOC_ARENA_MAX: '1',
      KUBECONFIG: api.kubeconfig,
      MAINSTAY_ETCD_ENDPOINTS: api.etcdUrl,
      MAINSTAY_IMAGE: 'mainstay.dev/mainstay:scale',
      MAINSTAY_POSTGRES_IMAGE_17: 'mainstay.dev/postgres:17',
      MAINSTAY_POSTGRES_IMAGE_18: 'mainstay.dev/postgres:18',
      MAINSTAY_HTTP_PORT: String(httpPort),
      POD_NAME: 'operator',
      POD_NAMESPACE: 'default',
      MAINSTAY_LOG_LEVEL: process.env['MAINSTAY_LOG_LEVEL'] ?? 'warn',
    },
  });
  createInterface({ input: child.stdout }).on('line', tell);
  const { pid = 0 } = child;
  process.once('exit', () => child.kill('SIGKILL'));
  const statusLine = async (name: string): Promise<number> => {
    const line = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n').find((one) => one.startsWith(`${name}:`));
    return Math.round(Number(line?.replaceAll(/\D/g, '') ?? '0') / 1024);
  };
  return {
    pid,
    async metrics() {
      const answer = await fetch(`http://127.0.0.1:${httpPort}/metrics`, { signal: AbortSignal.timeout(seconds(10)) });
      return parse(await answer.text());
    },
    async cpuSeconds() {
      const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    },
    residentMegabytes: () => statusLine('VmRSS'),
    peakMegabytes: () => statusLine('VmHWM'),
    async stop() {
      child.kill('SIGTERM');
      await until(
        'the operator ends',
        () => Promise.resolve(child.exitCode === null && child.signalCode === null ? notYet('it runs') : yes(true)),
        { within: stopWithin },
      ).catch(() => child.kill('SIGKILL'));
    },
  };
}

function parse(text: string): Metrics {
  const samples = text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, labels, value: Number(value) }];
  });
  return {
    sum: (name, labels = {}) =>
      samples
        .filter(
          (sample) =>
            sample.name === name &&
            Object.entries(labels).every(([key, value]) => sample.labels.includes(`${key}="${value}"`)),
        )
        .reduce((total, { value }) => total + value, 0),
  };
}
