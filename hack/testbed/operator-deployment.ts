/** The operator's Deployment, which scenarios take away to show that failover needs none of it. */
import type { ClusterAccess } from './cluster-access.ts';
import { operatorDeployment, systemNamespace } from './deployment.ts';

export interface OperatorDeployment {
  readonly scaleTo: (replicas: number) => Promise<void>;
  /** Back to what the chart installed, if a scenario changed it. */
  readonly restore: () => Promise<void>;
}

const installedReplicas = 2;

export function operatorOf(access: ClusterAccess, signal?: AbortSignal): OperatorDeployment {
  const inNamespace = ['--namespace', systemNamespace];
  const selector = 'app.kubernetes.io/component=operator';
  let changed = false;
  const scale = async (replicas: number, signal?: AbortSignal): Promise<void> => {
    changed = replicas !== installedReplicas;
    await access.kubectl(['scale', ...inNamespace, `deployment/${operatorDeployment}`, `--replicas=${replicas}`], {
      signal,
    });
    await (replicas === 0
      ? access.kubectl(['wait', ...inNamespace, 'pod', '--selector', selector, '--for=delete', '--timeout=60s'], {
          signal,
          timeoutMs: 70_000,
        })
      : access.kubectl(['rollout', 'status', ...inNamespace, `deployment/${operatorDeployment}`, '--timeout=120s'], {
          signal,
          timeoutMs: 130_000,
        }));
  };
  return {
    scaleTo: (replicas) => scale(replicas, signal),
    // Also when the scenario was aborted.
    restore: async () => {
      if (changed) await scale(installedReplicas);
    },
  };
}
