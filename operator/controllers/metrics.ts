import { Counter, Gauge, type Registry } from 'prom-client';
import type { Condition } from '../api/cluster-status.ts';

/** What only this operator has; reconciles, queues and requests are counted under the names of controller-runtime. */
export interface OperatorMetrics {
  /** What a cluster's status says now; undefined when it is gone. */
  conditions(key: string, conditions: readonly Condition[] | undefined): void;
  /** When the certificates of a cluster end; undefined when it is gone. */
  certificates(key: string, ends: readonly CertificateEnd[] | undefined): void;
  action(type: string, outcome: 'done' | 'failed'): void;
  /** How long etcd has been silent, in milliseconds, asked at each scrape. */
  watchEtcd(silentForMs: () => number): void;
}

export interface CertificateEnd {
  readonly certificate: string;
  /** Milliseconds of the wall clock. */
  readonly to: number;
}

export function operatorMetrics(registry: Registry, now: () => number): OperatorMetrics {
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
  const certificateEnds = new Map<string, readonly CertificateEnd[]>();
  new Gauge({
    name: 'mainstay_certificate_days_left',
    help: 'Days until a cluster’s certificate (server, client or authority) ends; negative once it has.',
    labelNames: ['namespace', 'cluster', 'certificate'] as const,
    registers,
    collect() {
      this.reset();
      for (const [key, ends] of certificateEnds) {
        const [namespace = '', cluster = ''] = key.split('/');
        for (const { certificate, to } of ends)
          this.set({ namespace, cluster, certificate }, (to - now()) / (24 * 3600_000));
      }
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
    certificates(key, ends) {
      if (ends) certificateEnds.set(key, ends);
      else certificateEnds.delete(key);
    },
    action: (type, outcome) => actions.inc({ action: type, outcome }),
    watchEtcd(silentForMs) {
      etcdSilentForMs = silentForMs;
    },
  };
}
