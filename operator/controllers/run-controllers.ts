/** All controllers of one operator, from the moment it leads until the signal aborts. */
import { randomBytes, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { RuntimeMetrics } from '../kubernetes/metrics.ts';
import type { Explain } from './explanation.ts';
import type { OperatorMetrics } from './metrics.ts';
import { apiVersion } from '../api/api-group.ts';
import { eventReasons, type EventReason } from '../api/event-reasons.ts';
import type { Dcs } from '../dcs/dcs.ts';
import type { EtcdUsers } from '../dcs/etcd-users.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { runController } from '../kubernetes/controller.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { keyOf } from '../kubernetes/informer.ts';
import type { ApiObject } from '../kubernetes/kinds.ts';
import { createQueue } from '../kubernetes/queue.ts';
import type { Surroundings } from '../kubernetes/surroundings.ts';
import type { Installation } from '../resources/installation.ts';
import { clusterOperationReconciler } from './cluster-operation/controller.ts';
import { createOperationSource } from './cluster-operation/sources.ts';
import { createFencing } from './fencing/run.ts';
import { reconcileNode } from './node/controller.ts';
import { databaseClusterReconciler } from './database-cluster/controller.ts';
import type { Observer } from './database-cluster/observe.ts';
import { createSources } from './database-cluster/sources.ts';
import { createRuntimeView } from './runtime-view.ts';
import { switchoverRequests } from './switchover-requests.ts';
import { syncStreaks } from './sync-streaks.ts';

export interface ControllersOptions {
  readonly client: KubernetesClient;
  readonly dcs: Dcs;
  /** Where each cluster shall have a login of its own to etcd. */
  readonly etcdUsers?: EtcdUsers | undefined;
  readonly events: EventRecorder;
  /** Asked anew each time: the credentials in it are renewed without a word. */
  readonly installation: () => Installation;
  readonly explain: Explain;
  readonly watchNamespace: string | undefined;
  /** Default: true. Without, drains and lost nodes go unseen. */
  readonly watchNodes?: boolean;
  /** In which namespace nodes are fenced from; absent: never. */
  readonly fencing?: { readonly namespace: string };
  readonly metrics: RuntimeMetrics & OperatorMetrics;
  readonly surroundings: Surroundings;
  /** Called when both etcd and the API server have been read once. */
  readonly onSynced: () => void;
}

/**
 * An election changes etcd many times in a moment: one look after it is enough. And kube-proxy puts changes of endpoints off
 * for a second after two in a row: those that role labels cause must come after the primary's own.
 */
const settledMs = 1000;
/** Positions and the like are looked at this late. */
const laterMs = 5_000;
/** A switchover takes less than a second: whoever waits for one hears of its end soon. */
const operationSettledMs = 100;
/** How long to wait for etcd before looking after clusters without it. */
const etcdPatienceMs = 10_000;
/** Clusters looked after at the same time. Each waits for the API server most of its time, and new ones come in dozens. */
const clusterWorkers = 10;
/** The kubelet takes a minute to bring a renewed Secret; this much more does not matter. */
const credentialsEveryMs = 10_000;

export async function runControllers(options: ControllersOptions, signal: AbortSignal): Promise<void> {
  const { client, dcs, events, installation, metrics, surroundings } = options;
  const { clock, random, log } = surroundings;
  const clusterQueue = createQueue({ ...surroundings, name: 'database-cluster', metrics });
  const operationQueue = createQueue({ ...surroundings, name: 'cluster-operation', metrics });
  const nodeQueue = createQueue({ ...surroundings, name: 'node', metrics });

  const sources = createSources({
    ...surroundings,
    client,
    namespace: options.watchNamespace,
    onCluster: (key) => {
      clusterQueue.add(key);
      if (operations.withIndex(key).length > 0) operationQueue.addAfter(key, settledMs);
    },
    ...(options.watchNodes !== undefined && { watchNodes: options.watchNodes }),
    onNode: (name) => {
      nodeQueue.add(name);
      fencing?.look();
    },
  });
  const operations = createOperationSource({
    ...surroundings,
    client,
    namespace: options.watchNamespace,
    onCluster: (key) => operationQueue.add(key),
  });
  const everyCluster = (): void => {
    for (const cluster of sources.clusters.list()) {
      clusterQueue.add(keyOf(cluster));
      // Also those without an operation: one may have been deleted while it was under way.
      operationQueue.add(keyOf(cluster));
    }
  };
  const view = createRuntimeView({
    dcs,
    clock,
    random,
    log,
    explain: options.explain,
    onChange({ namespace, name }, soon) {
      const key = `${namespace}/${name}`;
      if (!sources.clusters.get(key)) return;
      clusterQueue.addAfter(key, soon ? settledMs : laterMs);
      if (operations.withIndex(key).length > 0) operationQueue.addAfter(key, soon ? operationSettledMs : laterMs);
    },
    onConnection: everyCluster,
  });
  metrics.watchEtcd(() => view.silentForMs());
  const requests = switchoverRequests(dcs, clock, randomUUID);
  const streaks = syncStreaks(clock);
  const observer: Observer = {
    get installation() {
      return installation();
    },
    client,
    sources,
    view,
    requests,
    streaks,
    clock,
    log,
  };
  const effector = { client, dcs, etcdUsers: options.etcdUsers, requests, newPassword, metrics, log };
  const note = (regarding: ApiObject, reason: EventReason, text: string): void =>
    events.record({ regarding, type: eventReasons[reason].type, reason, note: text });
  const reconcileOperations = clusterOperationReconciler({
    observer: { clusters: observer, operations },
    effector: { client, dcs, metrics, log },
    note,
  });
  const reconcileCluster = databaseClusterReconciler({ observer, effector, metrics, note });
  const fencing =
    options.fencing && createFencing({ observer, namespace: options.fencing.namespace, note, metrics, surroundings });
  const nodeController = {
    observer,
    requests,
    note: (cluster: { readonly namespace: string; readonly name: string }, reason: EventReason, text: string): void => {
      const stored = sources.clusters.get(`${cluster.namespace}/${cluster.name}`);
      if (stored) note({ apiVersion, kind: stored.kind, metadata: stored.metadata }, reason, text);
    },
    toldOfDrains: new Map<string, number>(),
    log,
  };

  const followInstallation = async (): Promise<void> => {
    let before = installation();
    while (!signal.aborted) {
      await clock.sleep(credentialsEveryMs, signal).catch(() => undefined);
      const now = installation();
      if (!isDeepStrictEqual(now, before)) everyCluster();
      before = now;
    }
  };

  const following = Promise.all([
    sources.start(signal),
    operations.start(signal),
    view.start(signal),
    followInstallation(),
  ]);
  await sources.whenSynced(signal).catch(() => undefined);
  // Without etcd there is still work to do: objects, and a status that says so.
  await Promise.race([
    view.whenSynced(signal).catch(() => undefined),
    clock.sleep(etcdPatienceMs, signal).catch(() => undefined),
  ]);
  if (!signal.aborted) {
    void view.whenSynced(signal).then(options.onSynced, () => undefined);
    log.info({ clusters: sources.clusters.list().length, etcd: view.hasSynced() }, 'controllers start');
    await Promise.all([
      runController({
        ...surroundings,
        name: 'database-cluster',
        workers: clusterWorkers,
        queue: clusterQueue,
        reconcile: reconcileCluster,
        signal,
        metrics,
      }),
      // Clusters are looked after even where this kind is not installed yet.
      operations.whenSynced(signal).then(
        () =>
          runController({
            ...surroundings,
            name: 'cluster-operation',
            queue: operationQueue,
            reconcile: reconcileOperations,
            signal,
            metrics,
          }),
        () => undefined,
      ),
      fencing?.run(signal),
      runController({
        ...surroundings,
        name: 'node',
        queue: nodeQueue,
        reconcile: (name, limit) => reconcileNode(nodeController, name, limit),
        workers: 1,
        signal,
        metrics,
      }),
    ]);
  }
  await following;
}

const newPassword = (): string => randomBytes(24).toString('base64url');
