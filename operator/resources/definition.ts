import type { Definition, InstanceName } from '../api/cluster-state.ts';
import { effectiveDurability, type PostgresCluster } from '../api/postgres-cluster.ts';
import { instanceNames } from './names.ts';

/**
 * What the agents are told. `leaving`: instances beyond the spec that must stay members until they have handed over,
 * because an instance that is not in the definition may not lead.
 */
export function definitionFor(cluster: PostgresCluster, leaving: readonly InstanceName[] = []): Definition {
  const { metadata, spec } = cluster;
  const wanted = instanceNames(metadata.name, spec.instances);
  return {
    generation: metadata.generation,
    engine: 'postgres',
    version: spec.version,
    instances: [...wanted, ...leaving.filter((instance) => !wanted.includes(instance)).sort()],
    durability: effectiveDurability(spec),
    parameters: { ...spec.postgresql.parameters },
    application: { ...spec.application },
    // spec.paused stops the operator, not the agents.
    paused: false,
  };
}

/** The same text for the same definition, so that equal means equal. */
export const definitionText = (definition: Definition): string =>
  JSON.stringify({
    ...definition,
    parameters: Object.fromEntries(Object.entries(definition.parameters).sort(([a], [b]) => (a < b ? -1 : 1))),
  });
