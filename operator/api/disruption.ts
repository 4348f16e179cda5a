/** Who may reach a cluster's Pods, and what may be taken away from it. */
import { z } from 'zod';
import { labelKeys, labelMap, labelValues } from './kubernetes-names.ts';
import { described } from './rules.ts';

const matchLabels = (what: string) => described(labelMap, what, [labelKeys, labelValues], { maxProperties: 16 });

const Peer = z.object({
  namespaceLabels: matchLabels('Labels of namespaces; {} is every namespace, absent the cluster’s own.'),
  podLabels: matchLabels('Labels of Pods there; all Pods if absent.'),
});
export type NetworkPeer = z.output<typeof Peer>;

const peers = (what: string) =>
  described(z.array(Peer).max(32).default([]), what, [], { 'x-kubernetes-list-type': 'atomic' });

export const networkPolicy = described(
  z
    .object({
      mode: described(
        z.enum(['Open', 'Restricted']).default('Open'),
        'Restricted: a NetworkPolicy lets nobody but the instances themselves, and those named here, reach the Pods. ' +
          'What Pods reach is left alone. Open, without one, is the default because a network that enforces it may cut clients that nobody named.',
      ),
      clients: peers('Who may reach the database’s port; everybody if empty.'),
      monitoring: peers('Who may reach the agents’ port: metrics, and health checks of load balancers.'),
    })
    .prefault({}),
  'Who may reach the Pods over the network.',
);

export const disruption = described(
  z
    .object({
      singleInstance: described(
        z.enum(['Allow', 'Block']).default('Allow'),
        'Whether the only instance of a cluster may be evicted. Block makes every drain of its node fail until somebody acts; that is why it is not the default.',
      ),
    })
    .prefault({}),
  'What drains may take away.',
);
