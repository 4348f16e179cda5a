/** Points the `-rw` Service at who accepts writes: its EndpointSlice is written by the elected agent, not by the operator. */
import type { Epoch, Member } from '../api/cluster-state.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { endpointSlices } from '../kubernetes/kinds.ts';
import type { Logger } from '../platform/log.ts';
import type { AgentSettings } from './settings.ts';

const epochAnnotation = 'mainstay.dev/epoch';
const callLimit = 2000;

const fieldManager = 'mainstay-agent';

export type Route = Pick<Member, 'instance' | 'address' | 'node'>;

/** True when clients are sent there, or a newer primary has written already. */
export async function routeTo(
  routes: readonly Route[],
  client: KubernetesClient,
  settings: AgentSettings,
  epoch: Epoch,
  databasePort: number,
  log: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const slice = await client.get(endpointSlices, refTo(settings), { signal, timeoutMs: callLimit });
    if (!slice) return false;
    const written = writtenEpoch(slice);
    if (written > epoch) return true;
    const there = (slice.endpoints ?? []).map(({ addresses }) => addresses[0]);
    const isThere = there.length === routes.length && routes.every(({ address }) => there.includes(address));
    if (written === epoch && isThere) return true;
    await client.update(
      endpointSlices,
      {
        ...slice,
        metadata: {
          ...slice.metadata,
          annotations: { ...slice.metadata?.annotations, [epochAnnotation]: String(epoch) },
        },
        endpoints: routes.map(({ instance, address, node }) => ({
          addresses: [address],
          conditions: { ready: true, serving: true, terminating: false },
          ...(node ? { nodeName: node } : {}),
          targetRef: { kind: 'Pod', namespace: settings.namespace, name: instance },
        })),
        ports: [{ name: settings.engine, port: databasePort, protocol: 'TCP' }],
      },
      { fieldManager },
      { signal, timeoutMs: callLimit },
    );
    const to = routes.map(({ instance }) => instance).join(', ');
    log.info({ epoch, service: settings.serviceRw }, `the service points to ${to}`);
    return true;
  } catch (error) {
    log.warn({ err: error, service: settings.serviceRw }, 'could not point the service; trying again');
    return false;
  }
}

const refTo = (settings: AgentSettings): { namespace: string; name: string } => ({
  namespace: settings.namespace,
  name: settings.serviceRw,
});

const writtenEpoch = (slice: {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
}): number => Number(slice.metadata?.annotations?.[epochAnnotation] ?? '0');
