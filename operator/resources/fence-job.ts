import type { V1Job, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { FenceAgent } from '../api/fence-agent.ts';
import type { Wire } from '../platform/wire.ts';
import { intentHash } from './intent.ts';
import { labels, manager } from './labels.ts';

/** `verify` succeeds only if the device says that the node is off. */
export type FenceStep = 'off' | 'verify' | 'on';

/** Which call of which program this is. The same call has the same name, so that it is made once. */
export interface FenceCall {
  /** Name of the agent. */
  readonly agent: string;
  readonly node: string;
  /** Tells this loss of the node from an earlier one. */
  readonly incident: string;
  readonly step: FenceStep;
  /** From 1. */
  readonly attempt: number;
}

export const fenceCallAnnotation = 'mainstay.dev/fence-call';
/** Evidence of what was done to a node, for a week. */
const keptSeconds = 604_800;
const secretsFolder = '/etc/mainstay/fence';

export const fenceJobName = (call: FenceCall): string => `fence-${call.step}-${intentHash(call)}`;

/** One call of a fence agent's program, never repeated by Kubernetes: attempts are counted by us. */
export function fenceJob({ metadata, spec }: FenceAgent, call: FenceCall, namespace: string): Wire<V1Job> {
  const node = spec.nodes.find(({ name }) => name === call.node);
  const secrets = [
    { name: 'agent', secretName: spec.secretName },
    { name: 'node', secretName: node?.secretName },
  ].flatMap(({ name, secretName }) => (secretName === undefined ? [] : [{ name, secretName }]));
  const input = {
    ...spec.parameters,
    ...node?.parameters,
    // Both names: `port` is what programs took before they took `plug`.
    ...(node?.plug !== undefined && { plug: node.plug, port: node.plug }),
  };
  const marks = {
    labels: { [labels.managedBy]: manager, 'app.kubernetes.io/component': 'fencing' },
    annotations: { [fenceCallAnnotation]: JSON.stringify(call) },
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: fenceJobName(call),
      namespace,
      ...marks,
      ownerReferences: [
        { apiVersion: 'mainstay.dev/v1alpha1', kind: 'FenceAgent', name: metadata.name, uid: metadata.uid },
      ],
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: spec.timeoutSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: {
        metadata: marks,
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65_532,
            runAsGroup: 65_532,
            fsGroup: 65_532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          // Whoever switches a node off had better not run on it.
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [
                  { matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: [call.node] }] },
                ],
              },
            },
          },
          containers: [
            {
              name: 'fence',
              image: spec.image,
              imagePullPolicy: 'IfNotPresent',
              command: ['/bin/sh', '-c', script, call.step, ...spec.command],
              env: [
                {
                  name: 'MAINSTAY_PARAMETERS',
                  value: Object.entries(input)
                    .map(([name, value]) => `${name}=${value}\n`)
                    .join(''),
                },
              ],
              securityContext: {
                allowPrivilegeEscalation: false,
                privileged: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } },
              volumeMounts: [
                { name: 'tmp', mountPath: '/tmp' },
                ...secrets.map(({ name }): Wire<V1VolumeMount> => ({
                  name,
                  mountPath: `${secretsFolder}/${name}`,
                  readOnly: true,
                })),
              ],
            },
          ],
          volumes: [
            { name: 'tmp', emptyDir: {} },
            ...secrets.map(({ name, secretName }): Wire<V1Volume> => ({
              name,
              secret: { secretName, defaultMode: 0o440 },
            })),
          ],
        },
      },
    },
  };
}

/** The FenceAgentAPI: parameters as name=value on standard input; `status` ends with 0 for on, 2 for off, else nobody knows. */
const script = `
ask() {
  printf 'action=%s\\n%s' "$1" "$MAINSTAY_PARAMETERS"
  for file in ${secretsFolder}/*/*; do
    if [ -f "$file" ]; then printf '%s=%s\\n' "\${file##*/}" "$(cat "$file")"; fi
  done
}
if [ "$0" != verify ]; then
  ask "$0" | "$@"
  exit
fi
ask status | "$@"
code=$?
if [ "$code" -eq 2 ]; then exit 0; fi
echo "status ended with $code; only 2 means off" >&2
exit 1
`;
