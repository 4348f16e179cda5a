/** How each kind of fault is made and ended. Targets are found while all is well: amid faults nobody may be there to ask. */
import type { V1Pod, V1Secret } from '@kubernetes/client-node';
import { setTimeout as delay } from 'node:timers/promises';
import type { InstancePod } from '../../hack/testbed/database-cluster.ts';
import { systemNamespace } from '../../hack/testbed/deployment.ts';
import { etcdMembers, type EtcdMembers } from '../../hack/testbed/etcd-members.ts';
import { cutPod, healPod, losePackets, type Direction } from '../../hack/testbed/pod-network.ts';
import { deadmanOf, etcdOf, processesOf, signalTo, type PodProcess } from '../../hack/testbed/pod-processes.ts';
import { openMysqlSession } from '../../hack/writer/mysql-session.ts';
import { openPostgresSession } from '../../hack/writer/postgres-session.ts';
import type { Session } from '../../hack/writer/session.ts';
import { createRandom, type Random } from '../../operator/simulation/random.ts';
import { messageOf } from '../play.ts';
import type { World } from '../scenario.ts';
import { slots, type Slot } from './fault-kinds.ts';
import { isSlot, type Fault } from './schedule.ts';

export interface Targets {
  readonly instances: Readonly<Record<Slot, InstancePod>>;
  readonly etcd: EtcdMembers;
  readonly operatorPods: readonly string[];
}

/** Ends what was begun. */
export type End = () => Promise<void>;

const lostPercent = 20;
const slowForMs = 500;
/** Above what both databases allow by default: 100, 151. */
const moreConnections = 200;
const connectionsAtOnce = 20;

export async function targetsOf({ orders, api }: World): Promise<Targets> {
  const primary = await orders.primary();
  const [first, ...others] = (await orders.pods()).toSorted(
    (a, b) => Number(b.name === primary.instance) - Number(a.name === primary.instance),
  );
  const [second, third] = others;
  if (first === undefined || second === undefined || third === undefined)
    throw new Error('the soak needs three instances');
  const label = encodeURIComponent('app.kubernetes.io/component=operator');
  const operators = await api.get<{ readonly items: readonly V1Pod[] }>(
    `/api/v1/namespaces/${systemNamespace}/pods?labelSelector=${label}`,
  );
  return {
    instances: { primary: first, 'replica 1': second, 'replica 2': third },
    etcd: await etcdMembers(api),
    operatorPods: (operators?.items ?? []).map((pod) => pod.metadata?.uid ?? ''),
  };
}

export function injectorOf(world: World, targets: Targets): (fault: Fault) => Promise<End> {
  const { access, orders, nodes, faults, operator } = world;
  let cables = 0;
  const reconnect: End = async () => {
    // One command heals all cables: the last one does it.
    cables -= 1;
    if (cables === 0) await nodes.heal();
  };
  const others = (pod: InstancePod): readonly string[] =>
    Object.values(targets.instances).flatMap(({ name, ip }) => (name === pod.name ? [] : [ip]));
  const etcdAddresses = targets.etcd.members.map(({ ip }) => ip);
  const databaseOf = async ({ uid }: InstancePod): Promise<readonly PodProcess[]> =>
    (await faults.agentAndDatabase(uid)).slice(1);
  const membersOfEtcd = (): Promise<readonly PodProcess[]> =>
    Promise.all(targets.etcd.members.map(({ podUid }) => etcdOf(podUid)));
  const operators = async (): Promise<readonly PodProcess[]> => {
    const found = (await Promise.all(targets.operatorPods.map(processesOf))).flat();
    if (found.length === 0) throw new Error('no operator runs');
    return found;
  };
  const stopped = (processes: readonly PodProcess[]): End => asynchronous(faults.stop(some(processes)));
  const cut = async ({ uid }: InstancePod, addresses: readonly string[], how: Direction): Promise<End> => {
    await cutPod(uid, addresses, how);
    return () => healPod(uid);
  };
  const remove = async (what: string, ...how: readonly string[]): Promise<void> => {
    await access.kubectl(['delete', '--namespace', orders.namespace, what, '--wait=false', ...how]);
  };

  return async (fault) => {
    const random = createRandom(fault.seed);
    const pod = targets.instances[isSlot(fault.place) ? fault.place : 'primary'];
    const oneWay = (): Direction => random.pick(['sending', 'receiving'] as const);
    switch (fault.name) {
      case 'database killed':
        faults.kill(some(await databaseOf(pod)));
        return nothing;
      case 'whoever leads is killed': {
        const { instance, podUid } = await orders.primary();
        if (instance === targets.instances.primary.name) throw new Error('nobody else leads yet');
        faults.kill(some((await faults.agentAndDatabase(podUid)).slice(1)));
        return nothing;
      }
      case 'database stopped':
        return stopped(await databaseOf(pod));
      case 'log writer and checkpointer stopped':
        return stopped((await databaseOf(pod)).filter(({ command }) => /checkpointer|walwriter/.test(command)));
      case 'backend killed': {
        const [, ...children] = await databaseOf(pod);
        const clients = children.filter(({ command }) => /postgres: .*app/.test(command));
        const victim = random.pick(clients.length > 0 ? clients : children);
        faults.kill(some(victim === undefined ? [] : [victim]));
        return nothing;
      }
      case 'all connections taken':
        return takeConnections(world, pod);
      case 'agent killed':
        await nodes.killAgent(pod.uid);
        return nothing;
      case 'agent stopped':
        return asynchronous(await nodes.stopAgent(pod.uid));
      case 'machine paused':
        return stopped(await processesOf(pod.uid));
      case 'deadman killed':
        faults.kill([await deadmanOf(pod.uid)]);
        return nothing;
      case 'Pod deleted':
        await remove(`pod/${pod.name}`);
        return nothing;
      case 'Pod deleted without grace':
        await remove(`pod/${pod.name}`, '--grace-period=0', '--force');
        return nothing;
      case 'volume lost':
        await remove(`persistentvolumeclaim/${pod.name}`);
        await remove(`pod/${pod.name}`, '--grace-period=0', '--force');
        return nothing;
      case 'cut off from etcd':
        return cut(pod, etcdAddresses, 'both ways');
      case 'cut off from etcd one way':
        return cut(pod, etcdAddresses, oneWay());
      case 'cut off from the other instances':
        return cut(pod, others(pod), 'both ways');
      case 'cut off from the other instances one way':
        return cut(pod, others(pod), oneWay());
      case 'cut off from all but clients':
        return cut(pod, [...etcdAddresses, ...others(pod)], 'both ways');
      case 'packets lost':
        await losePackets(pod.uid, lostPercent);
        return () => healPod(pod.uid);
      case 'node without power':
        await nodes.powerOff(pod.node);
        return () => nodes.powerOn(pod.node);
      case 'node cut off':
        cables += 1;
        await nodes.cutOff(pod.node);
        return reconnect;
      case 'node cut off from one other': {
        const other = random.pick(
          slots.map((slot) => targets.instances[slot].node).filter((node) => node !== pod.node),
        );
        if (other === undefined) throw new Error('all instances are on one node');
        cables += 1;
        await nodes.cutOff(pod.node, [other]);
        return reconnect;
      }
      case 'node cordoned':
        await nodes.cordon(pod.node);
        return () => nodes.uncordon(pod.node);
      case 'etcd’s leader killed':
        faults.kill([await etcdOf((await targets.etcd.leader()).podUid)]);
        return nothing;
      case 'member of etcd stopped':
        return stopped([await etcdOf(random.pick(targets.etcd.members)?.podUid ?? '')]);
      case 'all of etcd stopped':
        return stopped(await membersOfEtcd());
      case 'etcd slow':
        return slow(await membersOfEtcd(), random, world.signal);
      case 'operator killed':
        faults.kill(await operators());
        return nothing;
      case 'operator stopped':
        return stopped(await operators());
      case 'operator away':
        await operator.scaleTo(0);
        // It comes back after everything else: its Pods may need the nodes that are off.
        return nothing;
      case 'API server away':
        await nodes.stopApi();
        return () => nodes.startApi();
      case 'switchover asked for': {
        const { instance } = await orders.primary();
        const to = random.pick(slots.map((slot) => targets.instances[slot].name).filter((name) => name !== instance));
        await orders.requestSwitchover(instance, to ?? '');
        return nothing;
      }
    }
  };
}

/** Of what is over in a moment. */
const nothing: End = () => Promise.resolve();

function asynchronous(end: () => void): End {
  return () => {
    end();
    return Promise.resolve();
  };
}

function some(processes: readonly PodProcess[]): readonly PodProcess[] {
  if (processes.length === 0) throw new Error('no such process runs');
  return processes;
}

/** As an application would that never closes any. */
async function takeConnections({ api, orders }: World, { ip: host }: InstancePod): Promise<End> {
  const secret = await api.get<V1Secret>(`/api/v1/namespaces/${orders.namespace}/secrets/${orders.name}-app`);
  const read = (key: string): string => Buffer.from(secret?.data?.[key] ?? '', 'base64').toString();
  const where = { host, port: orders.engine.port, database: read('dbname') };
  const login = { user: read('username'), password: read('password') };
  const open = orders.engine.name === 'mysql' ? openMysqlSession : openPostgresSession;
  const opened: PromiseSettledResult<Session>[] = [];
  // All of them at once would wait for each other longer than each may wait.
  while (opened.length < moreConnections)
    opened.push(
      ...(await Promise.allSettled(
        Array.from({ length: connectionsAtOnce }, () => open({ ...where, ...login }, 'none')),
      )),
    );
  const sessions = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const refused = opened.find((one) => one.status === 'rejected');
  if (sessions.length === 0) throw new Error(`nobody is let in: ${messageOf(refused?.reason)}`);
  return () => {
    for (const session of sessions) session.drop();
    return Promise.resolve();
  };
}

/** Each member hangs for half a second again and again. */
function slow(members: readonly PodProcess[], random: Random, signal: AbortSignal): End {
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const pause = (milliseconds: number): Promise<void> =>
    // An abort only ends the wait.
    delay(milliseconds, undefined, { signal: within }).catch(() => undefined);
  const hangings = members.map(async (member) => {
    while (!within.aborted) {
      signalTo([member], 'SIGSTOP');
      await pause(slowForMs);
      signalTo([member], 'SIGCONT');
      await pause(random.between(100, 300));
    }
  });
  return async () => {
    over.abort();
    await Promise.all(hangings);
  };
}
