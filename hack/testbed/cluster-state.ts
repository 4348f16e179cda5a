/** What etcd holds about a cluster, and requests made there as the operator makes them; needs no API server, but the local cluster's routes. */
import { randomUUID } from 'node:crypto';
import { clusterPrefix, keys, type AdoptRequest, type ClusterIdentity } from '../../operator/api/cluster-state.ts';
import { parseRuntime, type ClusterRuntime } from '../../operator/controllers/cluster-runtime.ts';
import { switchoverRequests } from '../../operator/controllers/switchover-requests.ts';
import type { Dcs } from '../../operator/dcs/dcs.ts';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import type { EtcdAddress, EtcdMembers } from './etcd-members.ts';

export interface ClusterState {
  readonly read: (cluster: ClusterIdentity) => Promise<ClusterRuntime>;
  readonly requestSwitchover: (cluster: ClusterIdentity, from: string, to: string | undefined) => Promise<void>;
  /** As a person asks for it: this etcd is not the one that the cluster knew, and shall be from now on. */
  readonly requestAdoption: (cluster: ClusterIdentity, etcdClusterId: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

const readMs = 2_000;

/** `etcd` is asked each time: members whose Pods are replaced have other addresses. */
export function clusterState(etcd: () => Pick<EtcdMembers<EtcdAddress>, 'members'>, signal: AbortSignal): ClusterState {
  let open: { readonly endpoints: readonly string[]; readonly dcs: Dcs } | undefined;
  const dcs = async (): Promise<Dcs> => {
    const endpoints = etcd().members.map((member) => member.url);
    if (open?.endpoints.join() === endpoints.join()) return open.dcs;
    await open?.dcs.close();
    open = { endpoints, dcs: etcdDcs({ endpoints, clock: systemClock }) };
    return open.dcs;
  };
  return {
    read: async (cluster) => {
      const prefix = clusterPrefix(cluster);
      const { entries, clusterId } = await (await dcs()).read(prefix, { milliseconds: readMs, signal });
      const relative = new Map([...entries].map(([key, value]) => [key.slice(prefix.length), value]));
      return parseRuntime(relative, undefined, clusterId);
    },
    requestSwitchover: async (cluster, from, to) => {
      const requests = switchoverRequests(await dcs(), systemClock, randomUUID);
      const what = { from, reason: 'asked for by a test', ...(to === undefined ? {} : { to }) };
      if (!(await requests.request(cluster, what, signal))) throw new Error('another switchover is asked for');
    },
    requestAdoption: async (cluster, etcdClusterId) => {
      const request: AdoptRequest = { id: randomUUID(), etcdClusterId, without: [], reason: 'asked for by a test' };
      const key = clusterPrefix(cluster) + keys.adopt;
      const result = await (
        await dcs()
      ).txn([], [{ put: key, value: JSON.stringify(request) }], { milliseconds: readMs, signal });
      if (result.outcome !== 'applied') throw new Error(`${key} could not be written`);
    },
    close: async () => open?.dcs.close(),
  };
}
