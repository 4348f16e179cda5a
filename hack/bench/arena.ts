/** The cluster that is struck, and what is true of it by etcd's word: that can be had with the API server down as well. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import type { ClusterIdentity } from '../../operator/api/cluster-state.ts';
import type { ClusterRuntime } from '../../operator/controllers/cluster-runtime.ts';
import type { ApiServer } from '../testbed/api-server.ts';
import { repository, type ClusterAccess } from '../testbed/cluster-access.ts';
import { resourceOf, type TestedEngine } from '../testbed/engines.ts';
import { clusterState } from '../testbed/cluster-state.ts';
import { etcdMembers, type EtcdMembers } from '../testbed/etcd-members.ts';
import { nodesOf, type Nodes } from '../testbed/nodes.ts';
import { operatorOf } from '../testbed/operator-deployment.ts';
import { databaseCluster, type InstancePod, type ClusterUnderTest, type Primary } from '../testbed/database-cluster.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';
import { whatIsMissing } from './whole.ts';

export interface Arena {
  readonly engine: TestedEngine;
  readonly access: ClusterAccess;
  readonly api: ApiServer;
  readonly nodes: Nodes;
  /** For a whole series: after an outage of the API server Kubernetes takes up to a minute to start Pods again. */
  readonly useOperator: (runs: boolean) => Promise<void>;
  readonly orders: ClusterUnderTest;
  readonly signal: AbortSignal;
  /** Instances and etcd as they were when the cluster was last whole. */
  readonly instances: () => readonly InstancePod[];
  readonly etcd: () => EtcdMembers;
  readonly runtime: () => Promise<ClusterRuntime>;
  /** Every instance runs, and every replica acknowledges. */
  readonly whole: () => Promise<void>;
  readonly primary: () => Promise<Primary>;
  /** As the operator asks for it. */
  readonly requestSwitchover: (from: string, to?: string) => Promise<void>;
  /** Makes the instance of that node primary. */
  readonly leadFrom: (node: string) => Promise<Primary>;
  readonly useDurability: (mode: 'Strict' | 'Async') => Promise<void>;
  /** A new cluster in place of one that did not become whole again. */
  readonly renew: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export const namespace = 'mainstay-bench';
const name = 'orders';
const wholeMs = seconds(240);

export async function openArena(
  access: ClusterAccess,
  api: ApiServer,
  signal: AbortSignal,
  engine: TestedEngine,
): Promise<Arena> {
  const orders = databaseCluster({ access, api, signal }, { namespace, name, kind: engine.kind });
  const operator = operatorOf(access, signal);
  let operatorRuns = true;
  let instances: readonly InstancePod[] = [];
  let etcd: EtcdMembers | undefined;
  let identity: ClusterIdentity | undefined;
  const state = clusterState(() => known(etcd), signal);
  const runtime = (): Promise<ClusterRuntime> => state.read(known(identity));
  const whole = async (): Promise<void> => {
    await orders.fullyRedundant({ within: wholeMs, withoutOperator: !operatorRuns });
    instances = await orders.pods();
    await until(
      'etcd of three members',
      async () => {
        etcd = await etcdMembers(api);
        await Promise.all([etcd.leader(), etcd.requests()]);
        return etcd.members.length === 3 ? yes(undefined) : notYet(`${etcd.members.length}`);
      },
      { within: wholeMs, signal },
    );
    await until(
      'every replica in the sync set',
      async () => {
        const missing = whatIsMissing(
          await runtime(),
          instances.map((pod) => pod.name),
        );
        return missing.length === 0 ? yes(undefined) : notYet(missing.join('; '));
      },
      { within: wholeMs, signal },
    );
  };
  const primary = async (): Promise<Primary> => {
    const { leader } = await runtime();
    const pod = instances.find((one) => one.name === leader?.instance);
    if (pod === undefined) throw new Error(`${leader?.instance ?? 'nobody'} leads, which has no Pod`);
    return { instance: pod.name, node: pod.node, podUid: pod.uid };
  };
  const requestSwitchover = (from: string, to?: string): Promise<void> =>
    state.requestSwitchover(known(identity), from, to);
  const create = async (): Promise<void> => {
    const metadata = { name: namespace };
    await access.kubectl(['apply', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata }),
      signal,
    });
    const example = parse(await readFile(path.join(repository, engine.example), 'utf8')) as object;
    const manifest = { ...example, metadata: { name, namespace } };
    await access.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest), signal });
    identity = { namespace, name, uid: known(await orders.resource()).metadata.uid };
    await whole();
  };
  const remove = async (): Promise<void> => {
    await access.kubectl(['delete', 'namespace', namespace, '--wait=true', '--ignore-not-found'], {
      timeoutMs: 180_000,
    });
  };
  // Always a new one: no earlier run's images, settings or history.
  await remove();
  await create();

  return {
    engine,
    access,
    api,
    nodes: nodesOf(access, signal),
    useOperator: async (runs) => {
      if (operatorRuns === runs) return;
      await (runs ? operator.restore() : operator.scaleTo(0));
      operatorRuns = runs;
    },
    orders,
    signal,
    instances: () => instances,
    etcd: () => known(etcd),
    runtime,
    whole,
    primary,
    requestSwitchover,
    leadFrom: async (node) => {
      const now = await primary();
      const wanted = instances.find((pod) => pod.node === node);
      if (wanted === undefined) throw new Error(`no instance on ${node}`);
      if (now.instance === wanted.name) return now;
      await requestSwitchover(now.instance, wanted.name);
      await until(
        `${wanted.name} primary`,
        async () => {
          const { leader } = await runtime();
          return leader?.instance === wanted.name ? yes(undefined) : notYet(`led by ${leader?.instance ?? 'nobody'}`);
        },
        { within: seconds(60), signal },
      );
      await whole();
      return primary();
    },
    useDurability: async (mode) => {
      const patch = JSON.stringify({ spec: { durability: { mode } } });
      await access.kubectl(
        ['patch', '--namespace', namespace, `${resourceOf(engine)}/${name}`, '--type=merge', '--patch', patch],
        { signal },
      );
      await until(
        `durability ${mode}`,
        async () => {
          const acknowledgements = (await runtime()).sync?.acknowledgements ?? 0;
          return acknowledgements > 0 === (mode === 'Strict') ? yes(undefined) : notYet(`k = ${acknowledgements}`);
        },
        { within: wholeMs, signal },
      );
    },
    renew: async () => {
      await remove();
      await create();
    },
    close: state.close,
  };
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('asked before the cluster was whole');
  return value;
}
