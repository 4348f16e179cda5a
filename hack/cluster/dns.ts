/** CoreDNS, as a process of the host. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apply } from './api.ts';
import { binFolder, controlPlaneCgroup, dnsAddress, stateFolder } from './layout.ts';
import { kubeconfigOf } from './pki.ts';
import { start, type Daemon } from './process.ts';

const corefile = join(stateFolder, 'Corefile');

export const dns: Daemon = {
  name: 'coredns',
  cgroup: controlPlaneCgroup,
  command: join(binFolder, 'coredns'),
  args: ['-conf', corefile],
};

/** The resolver configuration that Pods start from, instead of the host's with its search domains. */
export const resolvConf = join(stateFolder, 'resolv.conf');

export async function startDns(signal: AbortSignal): Promise<void> {
  writeFileSync(resolvConf, `nameserver ${dnsAddress}\n`);
  writeFileSync(
    corefile,
    `.:53 {
  bind ${dnsAddress}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfigOf('coredns')}
    pods insecure
    ttl 5
  }
}
`,
  );
  const name = 'mainstay:coredns';
  const readable = { verbs: ['get', 'list', 'watch'] };
  await apply(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name },
      rules: [
        { apiGroups: [''], resources: ['services', 'pods', 'namespaces', 'endpoints'], ...readable },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], ...readable },
      ],
    },
    'clusterroles',
    signal,
  );
  await apply(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
    },
    'clusterrolebindings',
    signal,
  );
  start(dns);
}
