/** What the controller watches: agents, and the Jobs that it has made. */
import type { V1Job } from '@kubernetes/client-node';
import { apiVersion } from '../../api/api-group.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { createInformer, type Informer } from '../../kubernetes/informer.ts';
import { defineKind, jobs, type ApiObject, type ApiObjectMeta, type Wire } from '../../kubernetes/kinds.ts';
import type { Surroundings } from '../../kubernetes/surroundings.ts';
import { managedSelector } from '../../resources/labels.ts';

/** As the API server has it: checked by its schema, still to be parsed by ours. */
export interface StoredFenceAgent extends ApiObject {
  readonly metadata?: (ApiObjectMeta & { readonly generation?: number | undefined }) | undefined;
  readonly status?: unknown;
}

export const fenceAgents = defineKind<StoredFenceAgent>(apiVersion, 'FenceAgent', 'fenceagents', 'cluster');

export interface FencingSources {
  readonly agents: Informer<StoredFenceAgent>;
  readonly jobs: Informer<Wire<V1Job>>;
  start(signal: AbortSignal): Promise<void>;
  whenSynced(signal: AbortSignal): Promise<void>;
}

export interface FencingSourceOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** Of the operator: Jobs are made there. */
  readonly namespace: string;
  readonly onChange: () => void;
}

export function createFencingSources(options: FencingSourceOptions): FencingSources {
  const { client, namespace, onChange } = options;
  const agents = createInformer(client, fenceAgents, {}, { ...options, onChange });
  const calls = createInformer(client, jobs, { namespace, labelSelector: managedSelector }, { ...options, onChange });
  return {
    agents,
    jobs: calls,
    start: async (signal) => {
      await Promise.all([agents.start(signal), calls.start(signal)]);
    },
    whenSynced: async (signal) => {
      await Promise.all([agents.whenSynced(signal), calls.whenSynced(signal)]);
    },
  };
}
