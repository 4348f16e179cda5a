import { Counter, Gauge, type Registry } from 'prom-client';
import type { Condition } from '../api/postgres-cluster.ts';

/** What only this operator has; reconciles, queues and requests are counted under the names of controller-runtime. */
export interface OperatorMetrics {
  /** What a cluster's status says now; undefined when it is gone. */
  conditions(key: string, conditions: readonly Condition[] | undefined): void;
  action(type: string, outcome: 'done' | 'failed'): void;
  /** How long etcd has been silent, in milliseconds, asked at each scrape. */
  watchEtcd(silentForMs: () => number): void;
}

export function operatorMetrics(registry: Registry): OperatorMetrics {
  const registers = [registry];
  const known = new Map<string, readonly Condition[]>();
  let etcdSilentForMs = (): number => 0;
  new Gauge({
    name: 'mainstay_clusters',
    help: 'Clusters by condition (type) and its status: True, False or Unknown.',
    labelNames: ['type', 'status'] as const,
    registers,
    collect() {
      this.reset();
      for (const conditions of known.values()) for (const { type, status } of conditions) this.inc({ type, status });
    },
  });
  new Gauge({
    name: 'mainstay_etcd_silent_seconds',
    help: 'How long the operator has heard nothing from etcd; 0 while its watch stands.',
    registers,
    collect() {
      this.set(etcdSilentForMs() / 1000);
    },
  });
  const actions = new Counter({
    name: 'mainstay_actions_total',
    help: 'What the operator did to clusters, by action and outcome (done or failed).',
    labelNames: ['action', 'outcome'] as const,
    registers,
  });
  return {
    conditions(key, conditions) {
      if (conditions) known.set(key, conditions);
      else known.delete(key);
    },
    action: (type, outcome) => actions.inc({ action: type, outcome }),
    watchEtcd(silentForMs) {
      etcdSilentForMs = silentForMs;
    },
  };
}
