/** What is done to the primary. The same to every system, and healed in the same way. */
import { seconds } from '../../testbed/until.ts';
import type { Heal } from '../scenario.ts';
import type { Site, SiteNode } from './site.ts';

export interface Case {
  readonly name: string;
  readonly title: string;
  /** The longest outage that we allow Mainstay (DESIGN §1); undefined: none is set. */
  readonly goalMs?: number;
  /** Said where that is missed. */
  readonly whereTimeGoes?: string;
  /** What a reader of the figures has to know. */
  readonly remark?: string;
  /** Where etcd's leader is, which decides how long etcd itself takes to answer again. Default: it doesn't matter. */
  readonly etcdLeader?: 'beside the primary' | 'elsewhere';
  /**
   * What shows that the fault has been dealt with, besides writes that are acknowledged: another primary, or an interruption that
   * is over (if there is one within a while). Or it lasts for so many milliseconds, whatever happens.
   */
  readonly over: 'replaced' | 'interrupted' | { readonly afterMs: number };
  /** Resolves as soon as the fault is there; what it resolves with ends it, unless it ends by itself. */
  readonly strike: (site: Site, primary: SiteNode) => Promise<Heal | undefined>;
}

const losePower = async (_: Site, node: SiteNode): Promise<Heal> => {
  await node.powerOff();
  return node.powerOn;
};

const handOver =
  'The old primary writes a checkpoint while it serves, stops, and is read by its candidate; then come the claim in etcd, the ' +
  'promotion, and the first commit that a replica confirms: each a few disk writes, which all three instances and etcd share one disk ' +
  'for here. A pooler that holds connections meanwhile would hide all of it.';
const election =
  'The agent sees its child’s exit at once; what takes time are the replicas’ vows (a disk write each), their promises and the claim ' +
  '(three transactions in etcd, one after another), the promotion, and the first commit that a replica confirms. Fewer ' +
  'transactions in a row would cut it.';
const agentsDeath =
  'The agent is its container, so the database dies with it and a replica takes over: an election as after the database’s own death. ' +
  'An agent whose database outlives it, as Patroni’s does, would save that outage wherever a supervisor restarts it in time; what it costs ' +
  'is a database that for so long nobody may stop ([ADR 4](../adr/0004-pid-1-reaps.md)).';
const silence =
  'A second of it is silence: three missed heartbeats of half a second each, before anybody may call the primary lost. A node without power ' +
  'resets no connection. Shorter heartbeats would cut it, and take busy nodes for dead ones.';
const etcdElection =
  'Nobody can claim while etcd has no leader itself: its election timeout of one second comes on top of the silence.';
const canary =
  'A frozen process looks like a slow one: several probes in a row have to miss their deadlines before it is fenced.';
const pledges =
  'The primary serves on by what its replicas pledge each other without etcd; an interruption means that some pledge came too late.';

export const cases: readonly Case[] = [
  {
    name: 'switchover',
    title: 'planned switchover',
    goalMs: 1_000,
    whereTimeGoes: handOver,
    over: 'replaced',
    strike: async (site, { name }) => {
      await site.system.switchover(name);
      return undefined;
    },
  },
  {
    name: 'database-killed',
    title: 'database SIGKILL',
    goalMs: 1_000,
    whereTimeGoes: election,
    over: 'interrupted',
    strike: (_, node) => {
      node.signalDatabase('SIGKILL', 'postmaster');
      return Promise.resolve(undefined);
    },
  },
  {
    name: 'agent-killed',
    title: 'agent SIGKILL, restarted by its supervisor after 0.1 s',
    goalMs: 1_500,
    whereTimeGoes: agentsDeath,
    remark:
      'As `patroni.service` (`Restart=on-failure`) and the kubelet do. Patroni’s database outlives Patroni; Mainstay’s does not outlive its agent.',
    over: 'interrupted',
    strike: (_, node) => {
      node.killAgent();
      return Promise.resolve(undefined);
    },
  },
  {
    name: 'agent-lost',
    title: 'agent SIGKILL, not restarted',
    goalMs: 1_500,
    whereTimeGoes: agentsDeath,
    remark:
      'As `patroni@.service` (`Restart=no`) has it. The client stays with the old database, which nobody supervises, for as long as that can commit; one that is routed by Patroni’s health checks would be without a primary from the fault on.',
    over: 'replaced',
    strike: (_, node) => {
      node.supervise(false);
      node.killAgent();
      return Promise.resolve(() => node.supervise(true));
    },
  },
  {
    name: 'node-lost',
    title: 'node power-off',
    goalMs: 2_500,
    whereTimeGoes: silence,
    etcdLeader: 'elsewhere',
    over: 'replaced',
    strike: losePower,
  },
  {
    name: 'node-partitioned',
    title: 'node of the primary cut off from everybody',
    goalMs: 2_500,
    whereTimeGoes: silence,
    etcdLeader: 'elsewhere',
    over: 'replaced',
    strike: (_, node) => {
      node.cutOff();
      return Promise.resolve(node.reconnect);
    },
  },
  {
    name: 'node-lost-with-etcd-leader',
    title: 'node power-off with etcd’s leader',
    goalMs: seconds(9),
    whereTimeGoes: etcdElection,
    etcdLeader: 'beside the primary',
    over: 'replaced',
    strike: losePower,
  },
  {
    name: 'database-stopped',
    title: 'database SIGSTOP',
    goalMs: seconds(10),
    whereTimeGoes: canary,
    remark:
      'All processes of the database. Patroni’s loop waits for an answer of its database until its lease in etcd is over.',
    over: 'replaced',
    strike: (_, node) => {
      const stopped = node.signalDatabase('SIGSTOP', 'all');
      return Promise.resolve(() => node.signal(stopped, 'SIGCONT'));
    },
  },
  {
    name: 'etcd-outage',
    title: 'etcd stopped (SIGSTOP) for 30 s',
    goalMs: seconds(2),
    whereTimeGoes: pledges,
    remark:
      'Patroni’s `failsafe_mode`, off by default and here, is meant to keep its primary through this; it was not measured.',
    over: { afterMs: seconds(30) },
    strike: (site) => {
      site.signalEtcd('SIGSTOP');
      return Promise.resolve(() => site.signalEtcd('SIGCONT'));
    },
  },
];
