/** What is done to the primary, and what it may cost (DESIGN §1). */
import { setTimeout as delay } from 'node:timers/promises';
import { etcdOf, databaseProcesses, signalTo } from '../testbed/pod-processes.ts';
import type { Primary } from '../testbed/database-cluster.ts';
import { seconds } from '../testbed/until.ts';
import type { Arena } from './arena.ts';
import { freezeVolume, giveVolumesDisksOfTheirOwn, thawVolume } from './frozen-disks.ts';
import type { Fault, Heal } from './scenario.ts';

const nothing = (): void => undefined;
const etcdOutageMs = seconds(20);
const loseNode = async ({ nodes }: Arena, { node }: Primary): Promise<Heal> => {
  await nodes.powerOff(node);
  return () => nodes.powerOn(node);
};
const strict = { kind: 'fault', durability: 'Strict' } as const;

export const faults: readonly Fault[] = [
  {
    ...strict,
    name: 'switchover',
    title: 'planned switchover',
    goal: { p50: 600, max: 1_000 },
    mysqlGoal: { max: 1_000 },
    strike: async (arena, primary) => {
      await arena.requestSwitchover(primary.instance);
      return nothing;
    },
  },
  {
    ...strict,
    engine: 'postgres',
    name: 'postgres-killed',
    title: 'postmaster SIGKILL',
    goal: { p50: 500, max: 1_000 },
    strike: killDatabase,
  },
  {
    ...strict,
    engine: 'mysql',
    name: 'mysqld-killed',
    title: 'mysqld SIGKILL',
    goal: { p50: 500, max: 1_500 },
    strike: killDatabase,
  },
  {
    ...strict,
    name: 'agent-killed',
    title: 'agent SIGKILL',
    goal: { max: 1_500 },
    strike: async ({ nodes }, { podUid }) => {
      await nodes.killAgent(podUid);
      return nothing;
    },
  },
  {
    ...strict,
    name: 'agent-stopped',
    title: 'agent SIGSTOP',
    goal: { max: 10_000 },
    rivalClient: true,
    strike: ({ nodes }, { podUid }) => nodes.stopAgent(podUid),
  },
  {
    ...strict,
    name: 'node-lost',
    title: 'node power-off',
    goal: { max: 2_500 },
    mysqlGoal: { max: 3_000 },
    etcdLeader: 'elsewhere',
    strike: loseNode,
  },
  {
    ...strict,
    name: 'node-partitioned',
    title: 'node cut off from everybody',
    goal: { max: 2_500 },
    etcdLeader: 'elsewhere',
    rivalClient: true,
    strike: async ({ nodes }, { node }) => {
      await nodes.cutOff(node);
      return nodes.heal;
    },
  },
  {
    ...strict,
    name: 'node-lost-with-etcd-leader',
    title: 'node power-off with etcd’s leader',
    goal: { max: 9_000 },
    etcdLeader: 'beside the primary',
    strike: loseNode,
  },
  {
    ...strict,
    engine: 'postgres',
    name: 'postgres-stopped',
    title: 'all of postgres SIGSTOP',
    goal: { max: 10_000 },
    rivalClient: true,
    strike: hangDatabase,
  },
  {
    ...strict,
    engine: 'mysql',
    name: 'mysqld-stopped',
    title: 'mysqld SIGSTOP',
    goal: { max: 10_000 },
    rivalClient: true,
    strike: hangDatabase,
  },
  {
    ...strict,
    name: 'disk-stalled',
    title: 'file system of the volume frozen',
    goal: { max: 10_000 },
    rivalClient: true,
    prepare: giveVolumesDisksOfTheirOwn,
    strike: async (arena, { node }) => {
      await freezeVolume(arena, node);
      return () => thawVolume(arena, node);
    },
  },
  {
    kind: 'fault',
    name: 'async-node-lost',
    title: 'node power-off, Async',
    durability: 'Async',
    goal: { max: 6_500 },
    etcdLeader: 'elsewhere',
    strike: loseNode,
  },
  {
    kind: 'fault',
    name: 'async-agent-stopped',
    title: 'agent SIGSTOP, Async: the deadman must be quicker than the lease',
    durability: 'Async',
    goal: { max: 10_000 },
    rivalClient: true,
    deadFirst: true,
    strike: ({ nodes }, { podUid }) => nodes.stopAgent(podUid),
  },
  {
    ...strict,
    name: 'etcd-outage',
    title: 'etcd stopped (SIGSTOP) for 20 s',
    goal: { max: 2_000 },
    keepsPrimary: true,
    strike: async (arena) => {
      const members = await Promise.all(arena.etcd().members.map(({ podUid }) => etcdOf(podUid)));
      signalTo(members, 'SIGSTOP');
      try {
        await delay(etcdOutageMs, undefined, { signal: arena.signal });
      } finally {
        signalTo(members, 'SIGCONT');
      }
      return nothing;
    },
  },
];

async function killDatabase(_: Arena, { podUid }: Primary): Promise<Heal> {
  signalTo((await databaseProcesses(podUid)).slice(0, 1), 'SIGKILL');
  return nothing;
}

async function hangDatabase(_: Arena, { podUid }: Primary): Promise<Heal> {
  const stopped = await databaseProcesses(podUid);
  signalTo(stopped, 'SIGSTOP');
  return () => signalTo(stopped, 'SIGCONT');
}
