import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Names and labels as of controller-runtime, for the dashboards people already have. */
export interface QueueMetrics {
  added(queue: string, depth: number): void;
  retried(queue: string): void;
  taken(queue: string, depth: number, waitedSeconds: number): void;
  finished(queue: string, workedSeconds: number): void;
}

export type ReconcileOutcome = 'success' | 'error' | 'requeue_after';

export interface ControllerMetrics {
  started(controller: string): void;
  ended(controller: string, outcome: ReconcileOutcome, seconds: number, timedOut: boolean): void;
  workers(controller: string, count: number): void;
}

export interface LeadershipMetrics {
  leading(lease: string, leads: boolean): void;
}

export interface RequestMetrics {
  /** `code` is the HTTP status or `error`. */
  request(verb: string, code: string, seconds: number): void;
}

export interface RuntimeMetrics extends QueueMetrics, ControllerMetrics, LeadershipMetrics, RequestMetrics {}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function runtimeMetrics(registry: Registry): RuntimeMetrics {
  const registers = [registry];
  const queue = ['name', 'controller'] as const;
  const controller = ['controller'] as const;
  const depth = new Gauge({ name: 'workqueue_depth', help: 'Keys waiting.', labelNames: queue, registers });
  const adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys added.', labelNames: queue, registers });
  const retries = new Counter({ name: 'workqueue_retries_total', help: 'Keys retried.', labelNames: queue, registers });
  const waited = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long keys wait.',
    labelNames: queue,
    buckets: SECONDS,
    registers,
  });
  const worked = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long keys are worked on.',
    labelNames: queue,
    buckets: SECONDS,
    registers,
  });
  const reconciles = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciles by result.',
    labelNames: ['controller', 'result'] as const,
    registers,
  });
  const errors = new Counter({
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Reconciles that failed.',
    labelNames: controller,
    registers,
  });
  const timeouts = new Counter({
    name: 'controller_runtime_reconcile_timeouts_total',
    help: 'Reconciles that hit their deadline.',
    labelNames: controller,
    registers,
  });
  const time = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'How long reconciles take.',
    labelNames: controller,
    buckets: SECONDS,
    registers,
  });
  const active = new Gauge({
    name: 'controller_runtime_active_workers',
    help: 'Workers that reconcile now.',
    labelNames: controller,
    registers,
  });
  const maximum = new Gauge({
    name: 'controller_runtime_max_concurrent_reconciles',
    help: 'Workers there are.',
    labelNames: controller,
    registers,
  });
  const master = new Gauge({
    name: 'leader_election_master_status',
    help: '1 when this process leads.',
    labelNames: ['name'] as const,
    registers,
  });
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server.',
    labelNames: ['method', 'code'] as const,
    registers,
  });
  const requestTime = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'How long the API server takes to answer.',
    labelNames: ['verb'] as const,
    buckets: SECONDS,
    registers,
  });
  const of = (name: string) => ({ name, controller: name });

  return {
    added(name, now) {
      adds.inc(of(name));
      depth.set(of(name), now);
    },
    retried: (name) => retries.inc(of(name)),
    taken(name, now, waitedSeconds) {
      depth.set(of(name), now);
      waited.observe(of(name), waitedSeconds);
    },
    finished: (name, workedSeconds) => worked.observe(of(name), workedSeconds),
    started: (name) => active.inc({ controller: name }),
    ended(name, result, seconds, timedOut) {
      active.dec({ controller: name });
      reconciles.inc({ controller: name, result });
      if (result === 'error') errors.inc({ controller: name });
      if (timedOut) timeouts.inc({ controller: name });
      time.observe({ controller: name }, seconds);
    },
    workers: (name, count) => maximum.set({ controller: name }, count),
    leading: (name, leads) => master.set({ name }, leads ? 1 : 0),
    request(verb, code, seconds) {
      requests.inc({ method: verb, code });
      requestTime.observe({ verb }, seconds);
    },
  };
}
