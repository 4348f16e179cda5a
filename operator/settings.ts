/** Settings of the operator's process, from its environment. */
import { z } from 'zod';
import type { EngineName } from './api/cluster-state.ts';
import { MainstayError } from './platform/errors.ts';
import type { Installation } from './resources/installation.ts';

export interface Settings {
  readonly installation: Installation;
  /** Folder with what etcd asks of clients (operator/dcs/etcd-credentials.ts); undefined: nothing. */
  readonly etcdCredentials: string | undefined;
  /** StatefulSet of an etcd whose certificates and logins are ours to make (chart: etcd.secure); undefined: not so. */
  readonly ownEtcd: string | undefined;
  /** The only namespace to look after; all if undefined. */
  readonly watchNamespace: string | undefined;
  /** Whether nodes may be read: without, drains and lost nodes go unseen (chart: rbac.nodes). */
  readonly nodes: boolean;
  /** Whether nodes may be fenced (chart: fencing.enabled). */
  readonly fencing: boolean;
  readonly podName: string;
  readonly podNamespace: string;
  /** For a process outside the cluster. */
  readonly kubeconfig: string | undefined;
  readonly httpPort: number;
}

/** Before the major version. */
const imagePrefixes: Readonly<Record<EngineName, string>> = {
  postgres: 'MAINSTAY_POSTGRES_IMAGE_',
  mysql: 'MAINSTAY_MYSQL_IMAGE_',
};

const Environment = z.object({
  MAINSTAY_ETCD_ENDPOINTS: z.string().min(1),
  MAINSTAY_ETCD_CREDENTIALS: z.string().default(''),
  MAINSTAY_OWN_ETCD: z.string().default(''),
  MAINSTAY_ETCD_USER_PER_CLUSTER: z.enum(['true', 'false']).default('false'),
  MAINSTAY_IMAGE: z.string().min(1),
  MAINSTAY_WATCH_NAMESPACE: z.string().default(''),
  MAINSTAY_NODES: z.enum(['true', 'false']).default('true'),
  MAINSTAY_FENCING: z.enum(['true', 'false']).default('false'),
  POD_NAME: z.string().min(1),
  POD_NAMESPACE: z.string().min(1),
  KUBECONFIG: z.string().optional(),
  MAINSTAY_HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
});

export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const result = Environment.safeParse(environment);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new MainstayError('ConfigurationInvalid', `Settings of the operator: ${problems.join('; ')}`);
  }
  const given = result.data;
  return {
    installation: {
      etcdUserPerCluster: given.MAINSTAY_ETCD_USER_PER_CLUSTER === 'true',
      mainstayImage: given.MAINSTAY_IMAGE,
      images: Object.fromEntries(
        Object.entries(imagePrefixes).map(([engine, prefix]) => [engine, imagesOf(environment, prefix)]),
      ),
      etcdEndpoints: given.MAINSTAY_ETCD_ENDPOINTS.split(',')
        .map((endpoint) => endpoint.trim())
        .filter((endpoint) => endpoint !== ''),
    },
    etcdCredentials: given.MAINSTAY_ETCD_CREDENTIALS || undefined,
    ownEtcd: given.MAINSTAY_OWN_ETCD || undefined,
    watchNamespace: given.MAINSTAY_WATCH_NAMESPACE || undefined,
    nodes: given.MAINSTAY_NODES === 'true',
    fencing: given.MAINSTAY_FENCING === 'true',
    podName: given.POD_NAME,
    podNamespace: given.POD_NAMESPACE,
    kubeconfig: given.KUBECONFIG || undefined,
    httpPort: given.MAINSTAY_HTTP_PORT,
  };
}

const imagesOf = (
  environment: Readonly<Record<string, string | undefined>>,
  prefix: string,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(environment).flatMap(([name, image]) =>
      name.startsWith(prefix) && image ? [[name.slice(prefix.length), image] as const] : [],
    ),
  );
