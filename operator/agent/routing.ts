/** Points the `-rw` Service at this instance: its EndpointSlice is written by the elected agent, not by the operator. */
import type { Epoch } from '../api/cluster-state.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { endpointSlices } from '../kubernetes/kinds.ts';
import type { Logger } from '../platform/log.ts';
import type { AgentSettings } from './settings.ts';

const epochAnnotation = 'mainstay.dev/epoch';

/** True when clients are sent here, or a newer primary has written already. */
export async function routeToSelf(
  client: KubernetesClient,
  settings: AgentSettings,
  epoch: Epoch,
  databasePort: number,
  log: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const options = { signal, timeoutMs: 2000 };
  const ref = { namespace: settings.namespace, name: settings.serviceRw };
  try {
    const slice = await client.get(endpointSlices, ref, options);
    if (!slice) return false;
    const written = Number(slice.metadata?.annotations?.[epochAnnotation] ?? '0');
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
        ports: [{ name: 'postgres', port: databasePort, protocol: 'TCP' }],
      },
      { fieldManager: 'mainstay-agent' },
      options,
    );
    log.info({ epoch, service: settings.serviceRw }, 'the service points here');
    return true;
  } catch (error) {
    log.warn({ err: error, service: settings.serviceRw }, 'could not point the service here; trying again');
    return false;
  }
}
