/** What scenarios do to Pods from outside. All of it is taken back at the end, also after a failure. Local cluster only. */
import type { ApiServer } from '../hack/testbed/api-server.ts';
import type { ClusterAccess } from '../hack/testbed/cluster-access.ts';
import { etcdDataOf, type EtcdData } from '../hack/testbed/etcd-data.ts';
import { etcdMembers, type EtcdMembers } from '../hack/testbed/etcd-members.ts';
import type { Nodes } from '../hack/testbed/nodes.ts';
import { cutPod, healPod, type Direction } from '../hack/testbed/pod-network.ts';
import { agentOf, etcdOf, databaseProcesses, signalTo, type PodProcess } from '../hack/testbed/pod-processes.ts';
import type { InstancePod, ClusterUnderTest, Primary } from '../hack/testbed/database-cluster.ts';
import {
  breakFileSystem,
  fill,
  freeze,
  moveBackFromDisk,
  moveToDiskOfItsOwn,
  thaw,
  volumeFolder,
} from '../hack/testbed/volume-disks.ts';
import { budgets } from './budgets.ts';

export interface Faults {
  /** As they are now. */
  readonly etcd: () => Promise<EtcdMembers>;
  readonly etcdData: EtcdData;
  /** SIGSTOP; the returned function lets them go on. */
  readonly stop: (processes: readonly PodProcess[]) => () => void;
  readonly kill: (processes: readonly PodProcess[]) => void;
  /** Every process of the instance that matters: its agent and its database. */
  readonly agentAndDatabase: (podUid: string) => Promise<readonly PodProcess[]>;
  readonly allOfEtcd: () => Promise<readonly PodProcess[]>;
  /** Drops what goes from the primary's Pod to etcd, to its replicas, or to both, or what comes from there. */
  readonly cut: (primary: Primary, from: 'etcd' | 'replicas' | 'etcd and replicas', how: Direction) => Promise<void>;
  /** Ends what `cut` began. */
  readonly heal: () => Promise<void>;
  /** Moves the instance's volume to a disk of its own, for which its node is switched off and on; moved back at the end. */
  readonly diskOf: (instance: InstancePod) => Promise<VolumeDisk>;
  readonly restore: () => Promise<void>;
}

export interface VolumeDisk {
  readonly freeze: () => Promise<void>;
  readonly thaw: () => Promise<void>;
  /** The returned function gives the space back. */
  readonly fill: () => Promise<() => Promise<void>>;
  /** Read-only from now on, until `replace`. */
  readonly break: () => Promise<void>;
  /** The same data on the node's disk again, its node off and on meanwhile. */
  readonly replace: () => Promise<void>;
}

export function faultsOn(
  { access, api, signal }: { readonly access: ClusterAccess; readonly api: ApiServer; readonly signal: AbortSignal },
  orders: ClusterUnderTest,
  nodes: Nodes,
): Faults {
  const undo = new AsyncDisposableStack();
  const cutPods = new Set<string>();
  const heal = async (): Promise<void> => {
    for (const podUid of cutPods) await healPod(podUid);
    cutPods.clear();
  };
  const allOfEtcd = async (): Promise<readonly PodProcess[]> =>
    Promise.all((await etcdMembers(api)).members.map(({ podUid }) => etcdOf(podUid)));
  undo.defer(heal);
  return {
    etcd: () => etcdMembers(api),
    etcdData: etcdDataOf(access, api, signal),
    stop: (processes) => {
      const goOn = (): void => signalTo(processes, 'SIGCONT');
      undo.defer(goOn);
      signalTo(processes, 'SIGSTOP');
      return goOn;
    },
    kill: (processes) => signalTo(processes, 'SIGKILL'),
    agentAndDatabase: async (podUid) => [await agentOf(podUid), ...(await databaseProcesses(podUid))],
    allOfEtcd,
    cut: async (primary, from, how) => {
      const replicas = (await orders.pods()).filter(({ name }) => name !== primary.instance).map(({ ip }) => ip);
      const etcd = (await etcdMembers(api)).members.map(({ ip }) => ip);
      cutPods.add(primary.podUid);
      const addresses = [...(from === 'replicas' ? [] : etcd), ...(from === 'etcd' ? [] : replicas)];
      await cutPod(primary.podUid, addresses, how);
    },
    heal,
    diskOf: async ({ name, node }) => {
      const volume = await volumeFolder(node, orders.namespace, name);
      const whileOff = async (work: (volume: string) => Promise<void>): Promise<void> => {
        await nodes.powerOff(node);
        await work(volume);
        await nodes.powerOn(node);
      };
      let isThere = true;
      const replace = async (): Promise<void> => {
        if (!isThere) return;
        isThere = false;
        await thaw(volume);
        await whileOff(moveBackFromDisk);
      };
      undo.defer(replace);
      await whileOff(moveToDiskOfItsOwn);
      await orders.fullyRedundant({ within: budgets.redundantMs, withoutOperator: true });
      return {
        freeze: () => freeze(volume),
        thaw: () => thaw(volume),
        fill: async () => {
          const empty = await fill(volume);
          undo.defer(empty);
          return empty;
        },
        break: () => breakFileSystem(volume),
        replace,
      };
    },
    restore: () => undo.disposeAsync(),
  };
}
