/** The cluster's certificates, and kubeconfigs made of them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiServerUrl, gateway, kubeconfigPath, layoutOf, nodes, pkiFolder, type NodeName } from './layout.ts';
import { run } from './process.ts';

/** Identities with a kubeconfig each. */
export type Identity = 'admin' | 'controller-manager' | 'scheduler' | 'proxy' | 'coredns' | 'provisioner' | NodeName;

const subjects: Readonly<Record<Exclude<Identity, NodeName>, string>> = {
  admin: '/O=system:masters/CN=admin',
  'controller-manager': '/CN=system:kube-controller-manager',
  scheduler: '/CN=system:kube-scheduler',
  proxy: '/CN=system:kube-proxy',
  coredns: '/CN=mainstay:coredns',
  provisioner: '/CN=mainstay:local-provisioner',
};

export function kubeconfigOf(identity: Identity): string {
  return identity === 'admin' ? kubeconfigPath : join(pkiFolder, `${identity}.kubeconfig`);
}

export const certificateFile = (name: string): string => join(pkiFolder, `${name}.crt`);
export const keyFile = (name: string): string => join(pkiFolder, `${name}.key`);

export async function createPki(signal: AbortSignal): Promise<void> {
  mkdirSync(pkiFolder, { recursive: true, mode: 0o700 });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const openssl = (args: readonly string[]): Promise<string> => run('openssl', args, { signal, cwd: pkiFolder });
  await openssl([
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=mainstay-ca',
    '-days',
    '365',
  ]);

  const issue = async (name: string, subject: string, alternativeNames?: string): Promise<void> => {
    const extensions = ['keyUsage=digitalSignature,keyEncipherment', 'extendedKeyUsage=serverAuth,clientAuth'];
    if (alternativeNames !== undefined) extensions.push(`subjectAltName=${alternativeNames}`);
    writeFileSync(join(pkiFolder, `${name}.ext`), extensions.join('\n'));
    await openssl(['req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject]);
    await openssl(
      ['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-days', '365'].concat(
        ['-out', `${name}.crt`, '-extfile', `${name}.ext`],
        ['-set_serial', `0x${crypto.randomUUID().replaceAll('-', '')}`],
      ),
    );
  };

  const apiServerNames = [
    `IP:${gateway}`,
    'IP:127.0.0.1',
    'IP:10.96.0.1',
    'DNS:kubernetes',
    'DNS:kubernetes.default',
    'DNS:kubernetes.default.svc',
    'DNS:kubernetes.default.svc.cluster.local',
    'DNS:localhost',
  ];
  await Promise.all([
    openssl(['genrsa', '-out', 'service-accounts.key', '2048']),
    issue('apiserver', '/CN=kube-apiserver', apiServerNames.join(',')),
    ...Object.entries(subjects).map(([name, subject]) => issue(name, subject)),
    ...nodes.map((node) =>
      issue(node, `/O=system:nodes/CN=system:node:${node}`, `IP:${layoutOf(node).address},DNS:${node}`),
    ),
  ]);
  for (const identity of [...(Object.keys(subjects) as Identity[]), ...nodes]) writeKubeconfig(identity);
}

/** JSON is YAML, so no tool is needed to write it. */
function writeKubeconfig(identity: Identity): void {
  const embed = (file: string): string => readFileSync(file).toString('base64');
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'mainstay',
        cluster: { server: apiServerUrl, 'certificate-authority-data': embed(certificateFile('ca')) },
      },
    ],
    users: [
      {
        name: identity,
        user: {
          'client-certificate-data': embed(certificateFile(identity)),
          'client-key-data': embed(keyFile(identity)),
        },
      },
    ],
    contexts: [{ name: 'mainstay', context: { cluster: 'mainstay', user: identity } }],
    'current-context': 'mainstay',
  };
  writeFileSync(kubeconfigOf(identity), `${JSON.stringify(kubeconfig, null, 2)}\n`, { mode: 0o600 });
}
