import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineName } from '../api/cluster-state.ts';

export interface AgentMetrics {
  readonly registry: Registry;
  readonly epoch: Gauge;
  readonly primary: Gauge;
  readonly leaseSeconds: Gauge;
  readonly up: Gauge;
  readonly isReplica: Gauge | undefined;
  readonly streaming: Gauge;
  readonly backlog: Gauge;
  readonly failovers: Histogram<'reason'>;
  readonly effects: Counter<'effect' | 'outcome'>;
  readonly transactions: Counter<'purpose' | 'outcome'>;
}

/** As the exporters of the databases begin their names, where the meaning is the same. */
const exporters: Readonly<Record<EngineName, string>> = { postgres: 'pg', mysql: 'mysql' };

export function agentMetrics(engine: EngineName): AgentMetrics {
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
    up: new Gauge({ name: `${exporters[engine]}_up`, help: '1 while the database runs.', registers }),
    // mysqld_exporter has no word for it.
    isReplica:
      engine === 'postgres'
        ? new Gauge({ name: 'pg_replication_is_replica', help: '1 while it runs as a replica.', registers })
        : undefined,
    streaming: new Gauge({
      name: 'mainstay_streaming',
      help: '1 while this replica receives from its primary; 0 on the primary.',
      registers,
    }),
    backlog: new Gauge({
      name: 'mainstay_replay_backlog_bytes',
      help: 'Bytes of the log that this replica has and has not replayed yet; on MySQL, what amounts to them.',
      registers,
    }),
    failovers: new Histogram({
      name: 'mainstay_failover_duration_seconds',
      help:
        'How long clients had no primary, at each change of primary that ended on this instance: from the last answer of the former one that it served, asked for twice a second, ' +
        'to the moment at which clients were let in here, enough members holding the first record of the new epoch. By reason, as in status.lastFailover. ' +
        'Absent if the agent of this instance was killed with its primary.',
      labelNames: ['reason'],
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120],
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
