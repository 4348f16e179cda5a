/** For tests: the operations of one cluster, with an API server that forgets, an etcd that doesn't, and agents that take requests up. */
import { parseClusterOperation, type ClusterOperation } from '../../api/cluster-operation.ts';
import { Fence, keys, type OperationRecord } from '../../api/cluster-state.ts';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import type { ClusterRuntime, KeptOperation, StandingRequest } from '../cluster-runtime.ts';
import { decide as decideCluster } from '../database-cluster/decide.ts';
import {
  carryOut as carryOutCluster,
  factsOf,
  newWorld,
  settle,
  type World,
} from '../database-cluster/modelled-world.ts';
import { decide, type Action } from './decide.ts';
import type { OperationFacts } from './facts.ts';
import { statusFor } from './status.ts';

export interface Operations {
  readonly world: World;
  /** False: there is no such cluster. */
  clusterExists: boolean;
  readonly objects: Map<string, ClusterOperation>;
  readonly records: Map<string, KeptOperation>;
  readonly requests: Map<string, StandingRequest & { readonly value: Readonly<Record<string, unknown>> }>;
  answer: ClusterRuntime['answer'];
  serial: number;
  /** Names of operations that were begun, each time. */
  readonly begun: string[];
}

export function newOperations(spec: Readonly<Record<string, unknown>> = {}): Operations {
  const world = newWorld(sampleCluster(spec));
  for (let actions = decideCluster(factsOf(world)); actions.length > 0; actions = decideCluster(factsOf(world))) {
    for (const action of actions) carryOutCluster(world, action);
    settle(world);
  }
  return {
    world,
    clusterExists: true,
    objects: new Map(),
    records: new Map(),
    requests: new Map(),
    answer: undefined,
    serial: 0,
    begun: [],
  };
}

export const atTime = ({ world }: Operations): string => new Date(world.now).toISOString();

/** As `kubectl create` would. */
export function create(on: Operations, name: string, spec: Readonly<Record<string, unknown>>): void {
  on.serial += 1;
  on.objects.set(
    name,
    parseClusterOperation({
      apiVersion: 'mainstay.dev/v1alpha1',
      kind: 'ClusterOperation',
      metadata: {
        name,
        namespace: 'shop',
        uid: `operation-${on.serial}`,
        resourceVersion: String(on.serial),
        generation: 1,
        creationTimestamp: atTime(on).replace(/\.\d+Z/, 'Z'),
      },
      spec: { clusterRef: { name: 'orders' }, ...spec },
    }),
  );
}

export function abort(on: Operations, name: string): void {
  const object = on.objects.get(name);
  if (!object) return;
  const metadata = { ...object.metadata, generation: object.metadata.generation + 1 };
  on.objects.set(name, { ...object, metadata, spec: { ...object.spec, abort: true } });
}

/** As if restored from a backup that leaves the status out. */
export function loseStatus(on: Operations, name: string): void {
  const object = on.objects.get(name);
  if (object) on.objects.set(name, { ...object, status: { observedGeneration: -1 } });
}

export function observed(on: Operations): OperationFacts {
  const { world, records, requests, answer } = on;
  const runtime = {
    ...world.runtime,
    operations: new Map(records),
    requests: new Map(requests),
    fences: fencesOf(on),
    restarts: new Map(),
    answer,
  };
  return {
    now: world.now,
    cluster: on.clusterExists ? factsOf({ ...world, runtime }) : undefined,
    operations: [...on.objects.values()],
    unreadable: [],
  };
}

/** Read from where they stand, as the operator does. */
function fencesOf({ requests }: Operations): ClusterRuntime['fences'] {
  const prefix = keys.fence('');
  return new Map(
    [...requests].flatMap(([key, { modRevision, value }]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), { ...Fence.parse(value), modRevision }] as const] : [],
    ),
  );
}

/** One look of the operator; `statuses: false`: it dies before it has written any. */
export function look(on: Operations, { statuses = true } = {}): readonly Action[] {
  const actions = decide(observed(on));
  for (const action of actions) carryOut(on, action);
  if (statuses) {
    const facts = observed(on);
    for (const operation of facts.operations)
      on.objects.set(operation.metadata.name, { ...operation, status: statusFor(facts, operation) });
  }
  return actions;
}

function carryOut(on: Operations, action: Action): void {
  const put = (name: string, record: OperationRecord) => on.records.set(name, { record, modRevision: ++on.serial });
  switch (action.type) {
    case 'begin-operation':
    case 'continue-operation': {
      const { name, record, request, modRevision, removes } = action;
      if (on.records.get(name)?.modRevision !== modRevision) throw new Error('another record');
      put(name, record);
      if (action.type === 'begin-operation') on.begun.push(name);
      if (removes) on.requests.delete(removes.key);
      if (!request) return;
      if (on.requests.has(request.key)) throw new Error(`${request.key} is asked for already`);
      const value = request.value as Readonly<Record<string, unknown>> & { readonly id: string };
      on.requests.set(request.key, { id: value.id, modRevision: ++on.serial, value });
      return;
    }
    case 'conclude-operation':
      if (on.records.get(action.name)?.modRevision !== action.modRevision) throw new Error('another record');
      put(action.name, action.record);
      if (action.withdraw) on.requests.delete(action.withdraw.key);
      return;
    case 'forget-operation':
      on.records.delete(action.name);
      return;
    case 'delete-operation':
      on.objects.delete(action.name);
      return;
  }
}

/** An agent takes the request for a switchover up: its primary stops, and `winner` (the one asked for if absent) leads. */
export function handOver(on: Operations, winner?: string): void {
  const request = on.requests.get(keys.switchover);
  const { runtime } = on.world;
  const leader = winner ?? request?.value['to'];
  if (!request || typeof leader !== 'string' || !runtime.leader) return;
  const epoch = runtime.epoch + 1;
  const members = [...runtime.members].map(([name, member]): [string, typeof member] => [
    name,
    { ...member, state: name === leader ? 'running' : 'streaming', role: name === leader ? 'primary' : 'replica' },
  ]);
  const voters = [...runtime.members.keys()].map((instance) => ({ instance, incarnation: instance }));
  on.world.runtime = {
    ...runtime,
    epoch,
    leader: { ...runtime.leader, instance: leader, epoch },
    members: new Map(members),
    sync: {
      epoch,
      primary: { instance: leader, incarnation: leader },
      members: voters.filter(({ instance }) => instance !== leader),
      acknowledgements: 1,
    },
  };
  on.requests.delete(keys.switchover);
  answered(on, request.id ?? '', 'done', 'has stopped');
}

/** The agent of an instance takes the request for a restart up, and its database is back at once. */
export function restarted(on: Operations, instance: string): void {
  const request = on.requests.get(keys.restart(instance));
  if (!request) return;
  on.requests.delete(keys.restart(instance));
  answered(on, request.id ?? '', 'done', 'has stopped, and starts again');
  on.world.now += 3_000;
}

export function refuse(on: Operations, key: string, reason: string): void {
  const request = on.requests.get(key);
  if (!request) return;
  on.requests.delete(key);
  answered(on, request.id ?? '', 'refused', reason);
}

function answered(on: Operations, id: string, outcome: 'done' | 'refused', reason: string): void {
  on.answer = { id, instance: 'orders-1', outcome, reason, at: atTime(on) };
}
