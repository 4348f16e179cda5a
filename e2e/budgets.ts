/** How long things may take: three times what is expected, because the machines that run this are small and busy. */
import { seconds } from '../hack/testbed/until.ts';

const noise = 3;

export const budgets = {
  /** Expected ≤ 60 s from apply. */
  readyMs: noise * seconds(60),
  /** Expected ≤ 8 s, whatever the fault. */
  outageMs: noise * seconds(8),
  /** Expected ≤ 1 s. */
  handOverMs: noise * seconds(2),
  /** Expected ≤ 10 s: a database that hangs may still be busy. */
  hungMs: noise * seconds(10),
  /** A primary that can't prove its lease: expected ≤ 4 s (TTL − margin), whatever stops it from doing so. */
  fencedMs: noise * seconds(4),
  /** Expected ≤ 45 s, a clone or rewind included. */
  redundantMs: noise * seconds(60),
  /** Expected ≤ 9 s etcd has to find a leader first. */
  withEtcdLeaderMs: noise * seconds(9),
  /** A sync standby that dies is left out: expected ≤ 1 s. */
  stallMs: noise * seconds(1),
  /** Replicas stream again after an outage of etcd: expected ≤ 2 s. */
  streamingMs: noise * seconds(2),
  /** A major upgrade of a small database: stop, pg_upgrade, a clone that may acknowledge; expected ≤ 20 s. */
  upgradeMs: noise * seconds(20),
  /** A replication group notices silence after five seconds and elects: expected ≤ 12 s, routing included. */
  groupOutageMs: noise * seconds(12),
  /** Members that were away are let in one after the other: expected ≤ 60 s. */
  groupRedundantMs: noise * seconds(60),
  /** Planned, and nobody has to be elected. */
  undisturbedMs: seconds(5),
} as const;
