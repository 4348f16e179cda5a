/** What the agents should be told, from what is known now. */
import type { Definition, InstanceName } from '../../api/cluster-state.ts';
import { definitionFor, definitionText } from '../../resources/definition.ts';
import { instanceNumber } from '../../resources/names.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import type { Facts } from './facts.ts';
import { isOutdated, podOf, wantedInstances } from './instances.ts';
import { asSized } from './pod-resize.ts';
import { judgeSettings } from './settings.ts';
import { instancesLeftOut } from './volume-replacement.ts';

export function wantedDefinition(facts: Facts, runtime: ClusterRuntime): Definition {
  const cluster = asSized(facts, (pod) => isOutdated(facts, pod));
  return definitionFor(cluster, {
    settings: judgeSettings(cluster, runtime).settings,
    leaving: leavingLeaders(facts, runtime),
    without: instancesLeftOut(facts, runtime),
    zones: zonesOf(facts),
    certificatesOnly: certificatesOnly(facts, runtime),
    founded: !runtime.initialized && hasHadPrimary(facts),
  });
}

/** From when all have certificates, for good: who lacks one gets no further by a password. */
const certificatesOnly = (facts: Facts, runtime: ClusterRuntime): boolean =>
  runtime.definition?.certificatesOnly === true ||
  wantedInstances(facts).every((instance) => runtime.members.get(instance)?.certificates !== undefined);

/** etcd was emptied or replaced: an instance without data must not found the cluster anew (findings.md, F9). */
const hasHadPrimary = ({ cluster: { metadata, status } }: Facts): boolean =>
  (status.epoch ?? 0) > 0 || (status.dataUid !== undefined && status.dataUid !== metadata.uid);

/** The agents know what the spec asks for, and nobody beyond it is left. */
export function isPublished(facts: Facts, runtime: ClusterRuntime): boolean {
  const cluster = asSized(facts, (pod) => isOutdated(facts, pod));
  const definition = definitionFor(cluster, {
    settings: judgeSettings(cluster, runtime).settings,
    zones: zonesOf(facts),
    certificatesOnly: certificatesOnly(facts, runtime),
  });
  return runtime.definition?.text === definitionText(definition);
}

/** Surplus instances that lead, or whose log is the recorded one, stay members until they have handed over. */
function leavingLeaders(facts: Facts, runtime: ClusterRuntime): readonly InstanceName[] {
  const { name } = facts.cluster.metadata;
  const leaders = [runtime.leader?.instance, runtime.sync?.primary.instance];
  return [...new Set(leaders)].filter(
    (instance): instance is InstanceName =>
      instance !== undefined && (instanceNumber(name, instance) ?? 0) > facts.cluster.spec.instances,
  );
}

/** Zone of each instance's node. While that can't be seen, the last one known: a definition must not flap with its nodes. */
export function zonesOf(facts: Facts): ReadonlyMap<InstanceName, string> {
  return new Map(
    wantedInstances(facts).flatMap((instance): [InstanceName, string][] => {
      const name = podOf(facts, instance)?.node;
      const node = name === undefined ? undefined : facts.nodes?.get(name);
      const before = facts.cluster.status.instancesStatus?.find((status) => status.name === instance);
      const zone = node ? node.zone : before?.zone;
      return zone === undefined ? [] : [[instance, zone]];
    }),
  );
}
