/** The default StorageClass `local`, `local-2` for those who change it, and their provisioner: a volume is a directory on its node's disk. */
import { join } from 'node:path';
import { apply } from './api.ts';
import { binFolder, controlPlaneCgroup, stateFolder } from './layout.ts';
import { kubeconfigOf } from './pki.ts';
import { start, type Daemon } from './process.ts';

export const provisioner: Daemon = {
  name: 'local-provisioner',
  cgroup: controlPlaneCgroup,
  command: join(binFolder, 'local-provisioner'),
  args: [`--kubeconfig=${kubeconfigOf('provisioner')}`, `--nodes=${join(stateFolder, 'nodes')}`],
};

export async function startStorage(signal: AbortSignal): Promise<void> {
  const name = 'mainstay:local-provisioner';
  const rbac = 'rbac.authorization.k8s.io';
  for (const [className, isDefault] of [
    ['local', 'true'],
    ['local-2', 'false'],
  ] as const)
    await apply(
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: className, annotations: { 'storageclass.kubernetes.io/is-default-class': isDefault } },
        provisioner: 'mainstay.dev/local',
        volumeBindingMode: 'WaitForFirstConsumer',
        reclaimPolicy: 'Delete',
        allowVolumeExpansion: true,
      },
      'storageclasses',
      signal,
    );
  await apply(
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name },
      rules: [
        {
          apiGroups: [''],
          resources: ['persistentvolumes'],
          verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'],
        },
        { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['get', 'list', 'watch', 'update', 'patch'] },
        { apiGroups: [''], resources: ['persistentvolumeclaims/status'], verbs: ['patch'] },
        { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'update', 'patch'] },
      ],
    },
    'clusterroles',
    signal,
  );
  await apply(
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
      subjects: [{ apiGroup: rbac, kind: 'User', name }],
    },
    'clusterrolebindings',
    signal,
  );
  start(provisioner);
}
