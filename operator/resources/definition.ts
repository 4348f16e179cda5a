import type { BootstrapDefinition, Definition, InstanceName, PostgresSettings, Tags } from '../api/cluster-state.ts';
import { delaySeconds } from '../api/failover.ts';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { effectiveDurability } from '../api/durability.ts';
import { quantityValue } from '../api/quantity.ts';
import { parameterDefaults } from './parameter-defaults.ts';
import { dataVersion } from './installation.ts';
import { instanceNames, instanceNumber } from './names.ts';

/** What the user sets of the database, as far as it may reach the agents. */
export interface Settings {
  readonly parameters: Definition['parameters'];
  readonly postgres?: PostgresSettings | undefined;
}

export interface DefinitionFacts {
  /** Instead of what the spec says. */
  readonly settings?: Settings;
  /**
   * Instances beyond the spec that must stay members until they have handed over, because an instance that is not in the
   * definition may not lead.
   */
  readonly leaving?: readonly InstanceName[];
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
    zones = new Map(),
    founded = false,
    certificatesOnly = false,
    settings = settingsOf(cluster),
  }: DefinitionFacts = {},
): Definition {
  const { metadata, spec } = cluster;
  const wanted = instanceNames(metadata.name, spec.instances);
  const copyRate = quantityValue(spec.replication.cloneRate);
  const tags = wanted
    .map((instance): [InstanceName, Tags] => [instance, tagsFor(cluster, instance, zones.get(instance))])
    .filter(([, { priority, noFailover, noSync }]) => priority !== 0 || noFailover || noSync);
  const defaults = parameterDefaults({
    ...spec,
    postgresql: { ...spec.postgresql, parameters: settings.parameters },
  });
  return {
    generation: metadata.generation,
    engine: 'postgres',
    version: dataVersion(cluster),
    instances: [...wanted, ...leaving.filter((instance) => !wanted.includes(instance)).sort()],
    durability: effectiveDurability(spec),
    parameters: { ...settings.parameters },
    ...(Object.keys(defaults).length > 0 && { defaults }),
    ...(settings.postgres && { postgres: settings.postgres }),
    application: { database: spec.application.database, owner: spec.application.owner },
    bootstrap: bootstrapFor(cluster),
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

export function settingsOf({ spec: { postgresql } }: DatabaseCluster): Settings {
  const { parameters, sharedPreloadLibraries: listed, pgHba: hba, pgIdent: ident } = postgresql;
  const implied = ownPreload.filter((library) =>
    Object.keys(parameters).some((name) => name.startsWith(`${library}.`)),
  );
  const libraries = [...new Set([...listed, ...implied])];
  const isEmpty = libraries.length === 0 && hba.length === 0 && ident.length === 0;
  return { parameters, ...(!isEmpty && { postgres: { libraries, hba, ident } }) };
}

/** Whose parameters mean nothing unless they are loaded at the start. */
const ownPreload = ['auto_explain', 'pg_prewarm', 'pg_stat_statements', 'pgaudit'];

/** Of the mount that holds the user's SQL: its files are numbered in their order. */
export const postInitFile = (index: number): string => String(index);

function bootstrapFor({ spec: { bootstrap } }: DatabaseCluster): BootstrapDefinition {
  const { encoding = 'UTF8', localeProvider = 'builtin', locale = 'C.UTF-8', icuLocale } = bootstrap;
  return {
    encoding,
    localeProvider,
    locale,
    ...(icuLocale !== undefined && { icuLocale }),
    dataChecksums: bootstrap.dataChecksums,
    walSegmentMegabytes: (quantityValue(bootstrap.walSegmentSize) ?? 0) / 2 ** 20,
    postInitSql: bootstrap.postInitSql.map(({ database, configMap, secret }, index) => ({
      database,
      file: postInitFile(index),
      source:
        secret === undefined
          ? `ConfigMap ${configMap?.name ?? ''}, key ${configMap?.key ?? ''}`
          : `Secret ${secret.name}, key ${secret.key}`,
      secret: secret !== undefined,
    })),
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
