import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

export interface AgentMetrics {
  readonly registry: Registry;
  readonly epoch: Gauge;
  readonly primary: Gauge;
  readonly leaseSeconds: Gauge;
  readonly effects: Counter<'effect' | 'outcome'>;
  readonly transactions: Counter<'purpose' | 'outcome'>;
}

export function agentMetrics(): AgentMetrics {
  const registry = new Registry();
  // By default it wakes the process a hundred times a second to measure how late it is.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 });
  const registers = [registry];
  return {
    registry,
    epoch: new Gauge({ name: 'mainstay_epoch', help: 'Epoch of the cluster as this instance knows it.', registers }),
    primary: new Gauge({ name: 'mainstay_primary', help: '1 while this instance serves as primary.', registers }),
    leaseSeconds: new Gauge({
      name: 'mainstay_lease_seconds',
      help: 'Seconds for which leadership is proven; 0 on replicas.',
      registers,
    }),
    effects: new Counter({
      name: 'mainstay_database_effects_total',
      help: 'What the agent did to its database, by outcome.',
      labelNames: ['effect', 'outcome'],
      registers,
    }),
    transactions: new Counter({
      name: 'mainstay_transactions_total',
      help: 'Transactions in etcd that decide something, by purpose and outcome.',
      labelNames: ['purpose', 'outcome'],
      registers,
    }),
  };
}
