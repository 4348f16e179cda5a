import type { Definition, InstanceName, Tags } from '../api/cluster-state.ts';
import { dataVersion, type DatabaseCluster } from '../api/database-cluster.ts';
import { effectiveDurability } from '../api/durability.ts';
import { delaySeconds } from '../api/failover.ts';
import { quantityValue } from '../api/quantity.ts';
import type { Settings } from '../engines/profile.ts';
import { profileOf } from '../engines/profiles.ts';
import { instanceNames, instanceNumber } from './names.ts';

export interface DefinitionFacts {
  /** Instead of what the spec says. */
  readonly settings?: Settings;
  /**
   * Instances beyond the spec that must stay members until they have handed over, because an instance that is not in the
   * definition may not lead.
   */
  readonly leaving?: readonly InstanceName[];
  /** Instances of the spec that nothing may depend on for a while. */
  readonly without?: readonly InstanceName[];
  /** Zone of each instance's node, as far as known. */
  readonly zones?: ReadonlyMap<InstanceName, string>;
  /** No instance needs a password to follow another any more. */
  readonly certificatesOnly?: boolean;
  /** It has had data, of which etcd knows nothing. */
  readonly founded?: boolean;
}

/** More than any two priorities differ by: the zone comes first. */
export const zoneBonus = 1000;

/** What the agents are told. */
export function definitionFor(
  cluster: DatabaseCluster,
  {
    leaving = [],
    without = [],
    zones = new Map(),
    founded = false,
    certificatesOnly = false,
    settings = profileOf(cluster).settings(cluster),
  }: DefinitionFacts = {},
): Definition {
  const profile = profileOf(cluster);
  const own = profile.definition(cluster, settings);
  const { metadata, spec } = cluster;
  const wanted = instanceNames(metadata.name, spec.instances);
  const copyRate = quantityValue(spec.replication.cloneRate);
  const tags = wanted
    .map((instance): [InstanceName, Tags] => [instance, tagsFor(cluster, instance, zones.get(instance))])
    .filter(([, { priority, noFailover, noSync }]) => priority !== 0 || noFailover || noSync);
  return {
    generation: metadata.generation,
    engine: profile.engine,
    version: dataVersion(cluster),
    instances: [
      ...wanted.filter((instance) => !without.includes(instance)),
      ...leaving.filter((instance) => !wanted.includes(instance)).sort(),
    ],
    durability: effectiveDurability(spec),
    ...(own.group && { group: own.group }),
    parameters: { ...settings.parameters },
    ...(own.defaults && { defaults: own.defaults }),
    ...(settings.postgres && { postgres: settings.postgres }),
    application: { database: spec.application.database, owner: spec.application.owner },
    ...(own.bootstrap && { bootstrap: own.bootstrap }),
    ...(copyRate !== undefined && { copyRate }),
    // spec.paused stops the operator, not the agents.
    paused: false,
    ...(spec.logLevel !== 'info' && { logLevel: spec.logLevel }),
    ...(founded && { founded: true }),
    ...(tags.length > 0 && { tags: Object.fromEntries(tags) }),
    tls: {
      required: spec.tls.mode === 'Required',
      minVersion: spec.tls.minVersion,
      ...(spec.tls.ciphers !== undefined && { ciphers: spec.tls.ciphers }),
      certificatesOnly,
    },
  };
}

function tagsFor({ metadata, spec }: DatabaseCluster, instance: InstanceName, zone: string | undefined): Tags {
  const { preferredZone, instances } = spec.failover;
  const own = instances.find(({ ordinal }) => ordinal === instanceNumber(metadata.name, instance));
  const replayDelay = own?.replayDelay;
  const isPreferred = preferredZone !== undefined && zone === preferredZone;
  return {
    priority: (own?.priority ?? 0) + (isPreferred ? zoneBonus : 0),
    noFailover: own?.noFailover === true || replayDelay !== undefined,
    noSync: own?.noSync === true || replayDelay !== undefined,
    ...(replayDelay !== undefined && { replayDelay: delaySeconds(replayDelay) }),
  };
}

/** The same text for the same definition, so that equal means equal. */
export const definitionText = (definition: Definition): string =>
  JSON.stringify({
    ...definition,
    parameters: Object.fromEntries(Object.entries(definition.parameters).sort(([a], [b]) => (a < b ? -1 : 1))),
  });
