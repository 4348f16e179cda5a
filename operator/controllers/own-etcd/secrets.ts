/** The Secrets of the etcd that the chart brings: made by the operator, because a chart's own are made anew wherever it is only rendered (GitOps). */
import type { V1Secret } from '@kubernetes/client-node';
import type { KeyPair } from '../../certificates/authority.ts';
import type { Wire } from '../../platform/wire.ts';

export interface OwnEtcd {
  readonly namespace: string;
  /** Of the StatefulSet. */
  readonly name: string;
  /** URLs of the members. */
  readonly endpoints: readonly string[];
}

export const ownEtcdSecrets = {
  /** Whoever reads it can become etcd. */
  authority: (name: string) => `${name}-authority`,
  /** The members mount it (charts/mainstay/templates/etcd). */
  certificates: (name: string) => `${name}-certificates`,
  /** May do everything in etcd. */
  root: (name: string) => `${name}-root`,
} as const;

/** By which members call one another, operator and agents call them, and people through `kubectl port-forward`. */
export const memberNames = ({ name, namespace, endpoints }: OwnEtcd): readonly string[] => [
  ...endpoints.map((url) => new URL(url).hostname),
  `${name}-client.${namespace}.svc`,
  'localhost',
  '127.0.0.1',
];

export const authoritySecret = (of: OwnEtcd, { certificate, key }: KeyPair): Wire<V1Secret> =>
  secret(of, 'authority', 'kubernetes.io/tls', { 'tls.crt': certificate, 'tls.key': key });

export const membersSecret = (of: OwnEtcd, { certificate, key }: KeyPair, authority: string): Wire<V1Secret> =>
  secret(of, 'certificates', 'kubernetes.io/tls', { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority });

export const rootSecret = (of: OwnEtcd, password: string): Wire<V1Secret> =>
  secret(of, 'root', 'kubernetes.io/basic-auth', { username: 'root', password });

function secret(
  { name, namespace }: OwnEtcd,
  which: keyof typeof ownEtcdSecrets,
  type: string,
  files: Readonly<Record<string, string>>,
): Wire<V1Secret> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: ownEtcdSecrets[which](name),
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'mainstay', 'app.kubernetes.io/component': 'etcd' },
    },
    type,
    data: Object.fromEntries(Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')])),
  };
}
