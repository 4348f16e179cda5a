/** Points the `-rw` Service at this instance: its EndpointSlice is written by the elected agent, not by the operator. */
import type { Epoch } from '../api/cluster-state.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { endpointSlices } from '../kubernetes/kinds.ts';
import type { Logger } from '../platform/log.ts';
import type { AgentSettings } from './settings.ts';

const epochAnnotation = 'mainstay.dev/epoch';
const callLimit = 2000;

const fieldManager = 'mainstay-agent';

/** True when clients are sent here, or a newer primary has written already. */
export async function routeToSelf(
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
    const here = slice.endpoints?.length === 1 && slice.endpoints[0]?.addresses[0] === settings.podIp;
    if (written === epoch && here) return true;
    await client.update(
      endpointSlices,
      {
        ...slice,
        metadata: {
          ...slice.metadata,
          annotations: { ...slice.metadata?.annotations, [epochAnnotation]: String(epoch) },
        },
        endpoints: [
          {
            addresses: [settings.podIp],
            conditions: { ready: true, serving: true, terminating: false },
            ...(settings.node ? { nodeName: settings.node } : {}),
            targetRef: { kind: 'Pod', namespace: settings.namespace, name: settings.instance },
          },
        ],
        ports: [{ name: settings.engine, port: databasePort, protocol: 'TCP' }],
      },
      { fieldManager },
      { signal, timeoutMs: callLimit },
    );
    log.info({ epoch, service: settings.serviceRw }, 'the service points here');
    return true;
  } catch (error) {
    log.warn({ err: error, service: settings.serviceRw }, 'could not point the service here; trying again');
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
