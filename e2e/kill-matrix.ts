/** Every way to hurt a cluster that we know of (after Patroni's, stolon's, mysync's and Jepsen's tests), each with the scenarios that do it. */
import type { EngineName } from '../operator/api/cluster-state.ts';
import { budgets } from './budgets.ts';
import { scenarios } from './scenario.ts';

export interface Row {
  readonly number: number;
  readonly what: string;
  /** Titles of scenarios. */
  readonly scenarios: readonly string[];
  /** What the client may notice; scenarios allow three times as much, as machines that run them are small and busy. */
  readonly goal: string;
  /** What of it is not done on the local cluster, and why. */
  readonly without?: string;
  /** What of it is not done with MySQL, and why. */
  readonly withoutOnMysql?: string;
}

const noFailover = `no change of primary; no gap above ${budgets.undisturbedMs / 1000} s`;

export const killMatrix: readonly Row[] = [
  { number: 1, what: 'server SIGKILL', scenarios: ['the primary’s database is killed'], goal: '≤ 1 s' },
  {
    number: 2,
    what: 'all processes of the database SIGSTOP',
    scenarios: ['the primary’s database hangs'],
    goal: '≤ 10 s',
  },
  {
    number: 3,
    what: 'a backend ended, a backend SIGKILL',
    scenarios: ['every session of the primary is ended', 'a client’s backend of the primary is killed'],
    goal: `ended: ${noFailover}. SIGKILL: as 1`,
    withoutOnMysql: 'a SIGKILL: its sessions are threads, so that it is row 1',
    without:
      'a SIGKILL without a failover: PostgreSQL takes it for damaged shared memory and ends all sessions anyway; a replica leads sooner than it recovers',
  },
  {
    number: 4,
    what: 'checkpointer, walwriter SIGKILL',
    scenarios: ['the checkpointer of the primary is killed', 'the walwriter of the primary is killed'],
    goal: 'as 1',
    withoutOnMysql: 'it has one process: row 1',
  },
  {
    number: 5,
    what: 'server SIGKILL with a busy orphan that commits afterwards',
    scenarios: ['a backend survives its postmaster and commits afterwards'],
    goal: 'as 1; nothing of the old postgres alive when somebody leads',
    withoutOnMysql: 'it has one process, which nothing survives',
  },
  { number: 6, what: 'agent SIGKILL', scenarios: ['the primary’s agent is killed'], goal: '≤ 1.5 s' },
  {
    number: 7,
    what: 'agent SIGSTOP for 1, 3, 10, 60 s, then CONT',
    scenarios: [
      'the primary’s agent is stopped, not killed',
      'the primary’s agent is stopped for 1 s and goes on',
      'the primary’s agent is stopped for 3 s and goes on',
      'the primary’s agent is stopped for 10 s and goes on',
      'the primary’s agent is stopped for 60 s and goes on',
    ],
    goal: '≤ 8 s; the old database dead before its lease ends',
  },
  {
    number: 8,
    what: 'supervisors SIGKILL: PID 1 of the container, the deadman',
    scenarios: ['PID 1 of the primary’s container is killed', 'the primary’s deadman is killed'],
    goal: `PID 1: as 6. Deadman: ${noFailover}`,
  },
  {
    number: 9,
    what: 'agent and database SIGSTOP together, resumed after the takeover',
    scenarios: ['the primary’s Pod is frozen like a paused machine and goes on after the takeover'],
    goal: '≤ 8 s; the old one acknowledges nothing',
  },
  {
    number: 10,
    what: 'Pod deleted, with and without grace',
    scenarios: ['the primary’s Pod is deleted', 'the primary’s Pod is deleted without any grace'],
    goal: '≤ 8 s',
  },
  {
    number: 11,
    what: 'node power-off',
    scenarios: ['the primary’s node loses power while the operator is down'],
    goal: '≤ 2.5 s',
  },
  {
    number: 12,
    what: 'partitions: primary and etcd, replicas, both, each way alone, everybody, a ring',
    scenarios: [
      'the primary is cut off from etcd',
      'what the primary sends to etcd is lost',
      'what etcd sends to the primary is lost',
      'the primary is cut off from its replicas',
      'what the primary sends to its replicas is lost',
      'what the replicas send to the primary is lost',
      'the primary is cut off from etcd and replicas, but not from clients',
      'the primary’s node is cut off from everybody',
      'the nodes form a ring: the primary’s and another one don’t see each other, the third sees both',
    ],
    goal: '≤ 8 s; two primaries never acknowledge',
  },
  {
    number: 13,
    what: 'etcd: leader killed, all hung for 3, 15, 60 s, slow',
    scenarios: [
      'etcd’s leader is killed',
      'all of etcd hangs for 3 s',
      'all of etcd hangs for 15 s',
      'all of etcd hangs for 60 s',
      'etcd is slow: each member hangs for half a second again and again',
    ],
    goal: noFailover,
    without:
      'a slow fsync itself: members are stopped for 500 ms again and again instead. Of the 60 s about half: then Kubernetes restarts the members, whose liveness probes fail',
  },
  {
    number: 14,
    what: 'etcd’s leader and the primary together',
    scenarios: ['the primary’s node loses power and etcd’s leader with it'],
    goal: '≤ 9 s',
  },
  {
    number: 15,
    what: 'disk full, read-only, hanging',
    scenarios: [
      'the disk of the primary is full',
      'the disk of the primary is read-only after an error',
      'the disk of the primary stops answering',
    ],
    goal: '≤ 10 s',
  },
  {
    number: 16,
    what: 'clock jump by ± 1 h on the primary',
    scenarios: [],
    goal: 'nothing',
    without:
      'the local nodes share one machine’s clock, and Linux has no namespace for the time of day. Deadlines are counted on monotonic clocks (operator/platform/clock.ts); the simulator’s wall clocks jump, and it must catch a lease that is counted by them (lease-by-wall-clock in operator/simulation/bugs.ts)',
  },
  {
    number: 17,
    what: 'replay paused on the replicas with much to replay (MySQL: a long relay log), then a crash',
    scenarios: ['the primary’s database is killed while no replica has replayed for a while'],
    goal: '≤ 10 s',
  },
  {
    number: 18,
    what: 'sync standby SIGKILL',
    scenarios: ['a sync standby is killed, then both at once'],
    goal: 'one: ≤ 1 s; both: ≤ 8 s, the primary stays',
  },
  {
    number: 19,
    what: 'sync standby and primary together',
    scenarios: ['the primary and a sync standby are away together: the third alone must not lead'],
    goal: 'nobody leads until one of them is back',
  },
  {
    number: 20,
    what: 'switchover under load, with a stuck walsender, with a stuck archiver',
    scenarios: [
      'a switchover is asked for',
      'a switchover with a logical walsender that is stuck',
      'a switchover with an archiver that is stuck',
    ],
    goal: '≤ 1 s; stuck: ≤ 8 s',
    withoutOnMysql:
      'walsender and archiver, which it has not: a hand-over ends the server with SIGKILL once all is acknowledged, and waits for no reader of its log',
  },
  {
    number: 21,
    what: 'crashes amid a change of the sync set and amid a hand-over',
    scenarios: [
      'the old primary’s agent dies amid a switchover',
      'the candidate’s agent dies amid a switchover',
      'the candidate’s database dies amid a switchover',
      'the primary dies while the sync set changes',
    ],
    goal: '≤ 8 s',
    without:
      'every single step: the simulator does that, before and after each effect (operator/simulation/crash-points.test.ts); here the moment is drawn from the seed',
  },
  {
    number: 22,
    what: 'two agents of one name, one volume twice',
    scenarios: ['a second agent of the same name starts on the primary’s volume'],
    goal: `the second waits; ${noFailover}`,
  },
  {
    number: 23,
    what: 'etcd emptied, etcd restored from an old copy',
    scenarios: [
      'etcd has lost everything, and is adopted by a person',
      'etcd is restored from an old copy, and adopted by a person',
    ],
    goal: 'nothing is lost; writes go on after the adoption',
  },
  {
    number: 24,
    what: 'operator, API server down meanwhile',
    scenarios: [
      'the primary’s node loses power while the operator is down',
      'the primary’s node loses power while operator and API server are down',
    ],
    goal: '≤ 8 s; `make soak MATRIX=1` plays half of all other scenarios without an operator, too',
  },
  {
    number: 25,
    what: 'drain of the primary’s node',
    scenarios: ['the primary’s node is drained', 'the node of a single instance is drained'],
    goal: '≤ 8 s; single: the drain is not blocked',
  },
  {
    number: 26,
    what: 'etcd away for 1–5 s: replicas stream again < 2 s after',
    scenarios: ['all of etcd hangs for one to five seconds'],
    goal: noFailover,
  },
  {
    number: 27,
    what: 'flapping primary',
    scenarios: ['whoever leads crashes every 20 s'],
    goal: '≤ 8 s each',
  },
  {
    number: 28,
    what: 'damaged bytes on a replica’s disk',
    scenarios: ['bytes of a table are flipped on a replica’s disk'],
    goal: 'the replica is made anew; the primary stays',
    withoutOnMysql: 'InnoDB ends its server on a damaged page; the instance says so, and a person has it made anew',
  },
  {
    number: 29,
    what: 'a primary with writes that nobody acknowledged comes back',
    scenarios: [
      'an ex-primary comes back without what only it had: undone, not copied anew, and the same as its successor',
    ],
    goal: '≤ 8 s; every table has its successor’s checksum',
  },
  {
    number: 30,
    what: 'acknowledgements lost on their way',
    scenarios: ['acknowledgements are lost: all connections of replicas are ended amid commits, again and again'],
    goal: noFailover,
  },
  {
    number: 31,
    what: 'two failures in a row',
    scenarios: ['two failures in a row: the primary is killed, and its successor as soon as it is one'],
    goal: 'by itself, as soon as one of the two is back',
  },
  {
    number: 32,
    what: 'all instances at once',
    scenarios: ['every instance is killed at once, and they come back by themselves'],
    goal: 'by themselves',
  },
  {
    number: 33,
    what: 'source of a copy SIGKILL midway',
    scenarios: ['the source of a copy is killed midway: the copy is begun again and comes to its end'],
    goal: '≤ 8 s; the copy is whole in the end',
  },
];

/** As it is with one of the engines. */
export function killMatrixOf(engine: EngineName): readonly Row[] {
  const played = new Set(scenarios(engine).map(({ title }) => title));
  return killMatrix.map(({ withoutOnMysql, ...row }) => {
    const without = (engine === 'mysql' ? withoutOnMysql : undefined) ?? row.without;
    return {
      ...row,
      scenarios: row.scenarios.filter((title) => played.has(title)),
      ...(without !== undefined && { without }),
    };
  });
}
