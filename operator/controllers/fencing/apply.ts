/** apply(actions): each step is an event and a log line, before and after it is taken. */
import type { V1Node } from '@kubernetes/client-node';
import { isAlreadyExists } from '../../kubernetes/api-error.ts';
import type { CallOptions, KubernetesClient } from '../../kubernetes/client.ts';
import { jobs, nodes, type Wire } from '../../kubernetes/kinds.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { fenceJob } from '../../resources/fence-job.ts';
import { fencedAnnotation, outOfServiceTaint } from '../node/node-state.ts';
import type { FencingAction } from './decide.ts';
import { observedNode } from './observe.ts';

export interface FencingEffector {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly log: Logger;
}

const fieldManager = 'mainstay.dev/fencing';
const callTimeoutMs = 10_000;

export async function applyFencing(
  { client, namespace, log }: FencingEffector,
  actions: readonly FencingAction[],
  signal: AbortSignal,
): Promise<void> {
  const options: CallOptions = { signal, timeoutMs: callTimeoutMs };
  for (const action of actions) {
    switch (action.type) {
      case 'call':
        log.warn({ call: action.call }, 'fencing: the program is called');
        await client.create(jobs, fenceJob(action.agent, action.call, namespace), options).catch((error: unknown) => {
          // The same call, made by us or by the operator before us.
          if (!isAlreadyExists(error)) throw error;
        });
        break;
      case 'mark':
        log.warn({ node: action.node, mark: action.mark }, 'fencing: proven off, marked out of service');
        await changeNode(client, action.node, options, (node) => {
          if (observedNode(node).ready)
            throw new MainstayError('KubernetesApi', `Node ${action.node} is ready after all.`, { retryable: true });
          return { taints: [...otherTaints(node), outOfService], mark: JSON.stringify(action.mark) };
        });
        break;
      case 'unmark':
        log.warn({ node: action.node }, 'fencing: ready again, the mark is taken away');
        await changeNode(client, action.node, options, (node) => ({ taints: otherTaints(node), mark: null }));
        break;
    }
  }
}

const outOfService = { key: outOfServiceTaint, value: 'nodeshutdown', effect: 'NoExecute' };

const otherTaints = ({ spec }: Wire<V1Node>) => (spec?.taints ?? []).filter(({ key }) => key !== outOfServiceTaint);

async function changeNode(
  client: KubernetesClient,
  name: string,
  options: CallOptions,
  change: (node: Wire<V1Node>) => { readonly taints: readonly object[]; readonly mark: string | null },
): Promise<void> {
  const node = await client.get(nodes, { name }, options);
  if (!node) return;
  const { taints, mark } = change(node);
  await client.patch(
    nodes,
    { name },
    {
      // The version makes it a Conflict when somebody else has changed the taints since.
      metadata: { resourceVersion: node.metadata?.resourceVersion, annotations: { [fencedAnnotation]: mark } },
      spec: { taints },
    },
    { fieldManager },
    options,
  );
}
