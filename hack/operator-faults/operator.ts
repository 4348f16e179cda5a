/** An operator of one namespace behind the faulting proxy: it can die at any request, and a successor takes over. */
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { operatorMetrics } from '../../operator/controllers/metrics.ts';
import { runControllers } from '../../operator/controllers/run-controllers.ts';
import type { Dcs } from '../../operator/dcs/dcs.ts';
import { explain } from '../../operator/ha/explain.ts';
import { parseView } from '../../operator/ha/view.ts';
import { kubernetesClient } from '../../operator/kubernetes/client.ts';
import { runtimeMetrics } from '../../operator/kubernetes/metrics.ts';
import type { Clock } from '../../operator/platform/clock.ts';
import { MainstayError } from '../../operator/platform/errors.ts';
import { fastClock } from './fast-clock.ts';
import type { FaultingProxy } from './proxy.ts';

export interface OperatorOptions {
  readonly proxy: FaultingProxy;
  readonly dcs: Dcs;
  readonly namespace: string;
  /** What the operator and the agents live by. */
  readonly clock: Clock;
}

export interface OperatorUnderTest {
  /** Its last lines. */
  readonly log: readonly string[];
  /** How often one has died so far. */
  readonly deaths: number;
  /** Lets it die, as by SIGKILL, and starts the next. */
  restart(): void;
  stop(): Promise<void>;
}

export const installation = {
  mainstayImage: 'mainstay.dev/mainstay:test',
  images: { postgres: { '17': 'mainstay.dev/postgres:17', '18': 'mainstay.dev/postgres:18' } },
  etcdEndpoints: ['http://127.0.0.1:2379'],
};

/** For whoever wants to know what went wrong. */
const linesKept = 2_000;
/** Deadlines of calls are real work on a machine that may be busy, so that their time passes less fast. */
const callFactor = 5;

export function startOperator({ proxy, dcs, namespace, clock }: OperatorOptions): OperatorUnderTest {
  const said: string[] = [];
  const keep = (line: string): void => {
    said.push(line);
    if (said.length > linesKept) said.shift();
  };
  const log = pino({ level: 'debug', mixin: () => ({ life: proxy.life }) }, { write: keep });
  const ends = new Set<Promise<void>>();
  let deaths = 0;
  let stop = new AbortController();
  let stopped = false;
  const live = (): void => {
    stop = new AbortController();
    const { signal } = stop;
    const access = proxy.newLife(() => {
      deaths += 1;
      stop.abort(new Error('killed'));
      if (!stopped) live();
    });
    const surroundings = { clock, random: () => 0.5, log };
    const client = kubernetesClient(access, { ...surroundings, clock: fastClock(callFactor) });
    const registry = new Registry();
    const ended = runControllers(
      {
        client,
        dcs: behind(proxy, dcs, namespace),
        events: { record: () => undefined, flush: () => Promise.resolve() },
        installation: () => installation,
        explain: (entries, at) => explain(parseView(entries, at)),
        watchNamespace: namespace,
        metrics: { ...runtimeMetrics(registry), ...operatorMetrics(registry, () => clock.wall().getTime()) },
        surroundings,
        onSynced: () => undefined,
      },
      signal,
    )
      .catch((error: unknown) => log.error({ err: error }, 'the operator ended with an error'))
      .finally(() => client.close());
    ends.add(ended);
    void ended.then(() => ends.delete(ended));
  };
  live();
  return {
    log: said,
    get deaths() {
      return deaths;
    },
    restart() {
      deaths += 1;
      proxy.endLife();
      stop.abort(new Error('killed'));
      live();
    },
    async stop() {
      stopped = true;
      proxy.endLife();
      stop.abort(new Error('the test is over'));
      await Promise.all(ends);
    },
  };
}

/** etcd for one life: its transactions pass the same gate, and it sees its own namespace only. */
function behind(proxy: FaultingProxy, dcs: Dcs, namespace: string): Dcs {
  const { life } = proxy;
  const unreachable = (): MainstayError =>
    new MainstayError('DcsUnreachable', 'planned: etcd did not answer', { retryable: true });
  const own = (prefix: string): string => (prefix === '/mainstay/' ? `/mainstay/${namespace}/` : prefix);
  return {
    ...dcs,
    read: (prefix, deadline) => (proxy.life === life ? dcs.read(own(prefix), deadline) : Promise.reject(unreachable())),
    watch: (prefix, from, signal) => dcs.watch(own(prefix), from, signal),
    txn: (compare, writes, deadline) => {
      const keys = writes.map((write) => ('put' in write ? write.put : write.delete).split('/').slice(4).join('/'));
      return proxy.pass(
        life,
        `etcd ${keys.join(' ')}`,
        // Without its signal: what was sent before a death is carried out all the same.
        () => dcs.txn(compare, writes, { milliseconds: deadline.milliseconds }),
        // What was certainly not sent could be said to be so; an operator must cope with less.
        () => ({ outcome: 'unknown', cause: unreachable() }),
      );
    },
    close: () => Promise.resolve(),
  };
}
