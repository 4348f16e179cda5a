import type { V1NetworkPolicy, V1NetworkPolicyPeer } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels, podSelector } from './labels.ts';
import { agentPort } from './names.ts';
import { ownerReference } from './owner.ts';

/** Who may reach the Pods. Undefined where nobody is kept out. The kubelet's probes always get through. */
export function networkPolicyFor(cluster: DatabaseCluster): Wire<V1NetworkPolicy> | undefined {
  const { mode, clients, monitoring } = cluster.spec.networkPolicy;
  if (mode === 'Open') return undefined;
  const { name, namespace } = cluster.metadata;
  const database = { protocol: 'TCP', port: profileOf(cluster).port };
  const agent = { protocol: 'TCP', port: agentPort };
  return withIntent<Wire<V1NetworkPolicy>>({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace, labels: clusterLabels(cluster), ownerReferences: [ownerReference(cluster)] },
    spec: {
      podSelector: { matchLabels: podSelector(name) },
      policyTypes: ['Ingress'],
      ingress: [
        { _from: [{ podSelector: { matchLabels: podSelector(name) } }], ports: [database, agent] },
        { ...(clients.length > 0 && { _from: clients.map(peer) }), ports: [database] },
        ...(monitoring.length > 0 ? [{ _from: monitoring.map(peer), ports: [agent] }] : []),
      ].map(({ _from, ...rule }) => ({ ...(_from && { from: _from }), ...rule })),
    },
  });
}

type Peer = DatabaseCluster['spec']['networkPolicy']['clients'][number];

const peer = ({ namespaceLabels, podLabels }: Peer): Wire<V1NetworkPolicyPeer> => ({
  ...(namespaceLabels && { namespaceSelector: { matchLabels: { ...namespaceLabels } } }),
  // Without any selector the API server would refuse the peer.
  ...((podLabels ?? (namespaceLabels ? undefined : {})) && { podSelector: { matchLabels: { ...podLabels } } }),
});
