/** The next major version: made by the primary from its data, copied by everybody else. */
import { keys, type InstanceName, type OperationRecord } from '../../api/cluster-state.ts';
import { dataVersion } from '../../api/database-cluster.ts';
import { isAvailable, runningPrimary, wantedInstances } from '../database-cluster/instances.ts';
import { profileOf } from '../../engines/profiles.ts';
import type { ClusterNow } from './facts.ts';
import type { Plan, Procedure } from './procedure.ts';

export const upgrade: Procedure = {
  waitsForOthers: true,

  plan({ upgrade: asked }, cluster): Plan {
    if (!asked) return { verdict: 'refused', because: 'spec.upgrade is missing' };
    const { facts, runtime } = cluster;
    const { to, transfer } = asked;
    const version = runtime.version ?? dataVersion(facts.cluster);
    if (version === to) return { verdict: 'nothing-to-do', message: `The data are of version ${to} already.` };
    if (Number(to) < Number(version))
      return { verdict: 'refused', because: `the data are of version ${version}, and there is no way back to ${to}` };
    const from = runningPrimary(runtime);
    if (from === undefined) return { verdict: 'wait', because: 'nobody is primary' };
    if (runtime.requests.size > 0)
      return { verdict: 'wait', because: `${[...runtime.requests.keys()].join(', ')} comes first` };
    const unable = wantedInstances(facts).filter((instance) => !runtime.members.get(instance)?.versions?.includes(to));
    if (unable.length > 0)
      return {
        verdict: 'wait',
        because: `the image of ${unable.join(', ')} has no ${profileOf(facts.cluster).product} ${to}: set spec.image of the cluster to one that holds both ${version} and ${to}`,
      };
    const missing = absentees(cluster);
    if (missing.length > 0) return { verdict: 'wait', because: `${missing.join(', ')} must run and follow first` };
    return {
      verdict: 'begin',
      message: `${from} checks whether its data can be upgraded from ${version} to ${to}.`,
      to,
      targets: wantedInstances(facts),
      asks: { key: keys.upgrade, request: { from, to, transfer } },
    };
  },

  course({ to = '', primary = '', epoch }, cluster, standing) {
    const { facts, runtime } = cluster;
    if (standing)
      return {
        verdict: 'running',
        message:
          runningPrimary(runtime) === primary
            ? `${primary} checks its data, and serves.`
            : `${primary} is stopped and makes the data of version ${to}.`,
      };
    if (runtime.version !== to)
      return {
        verdict: 'failed',
        message: `The request is gone, and the data are of version ${runtime.version ?? dataVersion(facts.cluster)} still.`,
      };
    if (runningPrimary(runtime) === undefined)
      return { verdict: 'running', message: `The data are of version ${to}; ${primary} opens them.` };
    const behind = wantedInstances(facts).filter((instance) => !hasArrived(cluster, instance, to));
    return behind.length > 0
      ? { verdict: 'running', message: `Version ${to} serves; ${behind.join(', ')} copies it.` }
      : {
          verdict: 'complete',
          message: `Version ${to} serves since epoch ${epoch + 1}, and everybody follows. Set spec.version of the cluster to "${to}" and remove spec.image.`,
        };
  },

  /** As long as the request stands, the old version’s data are what counts. */
  mayTakeBack: () => true,
};

const absentees = ({ facts, runtime }: ClusterNow): readonly InstanceName[] =>
  wantedInstances(facts).filter((instance) => !isAvailable(facts, runtime, instance));

const hasArrived = ({ facts, runtime }: ClusterNow, instance: InstanceName, to: NonNullable<OperationRecord['to']>) =>
  isAvailable(facts, runtime, instance) && runtime.members.get(instance)?.version.split('.')[0] === to;
