/** The agent's settings, from the environment that operator/resources/pod.ts gives it. */
import { z } from 'zod';
import { engineNames, type EngineName } from '../api/cluster-state.ts';
import { MainstayError } from '../platform/errors.ts';

const Environment = z.object({
  MAINSTAY_ENGINE: z.enum(engineNames),
  MAINSTAY_NAMESPACE: z.string().min(1),
  MAINSTAY_CLUSTER: z.string().min(1),
  MAINSTAY_CLUSTER_UID: z.string().min(1),
  MAINSTAY_INSTANCE: z.string().min(1),
  MAINSTAY_NODE: z.string().default(''),
  MAINSTAY_POD_IP: z.string().min(1),
  MAINSTAY_ETCD_ENDPOINTS: z.string().min(1),
  MAINSTAY_ETCD_CREDENTIALS: z.string().default(''),
  MAINSTAY_SERVICE_RW: z.string().default(''),
  MAINSTAY_VOLUME: z.string().default('/var/lib/mainstay'),
  MAINSTAY_WAL_VOLUME: z.string().default(''),
  MAINSTAY_TOPOLOGY: z.enum(['Replicas', 'Group']).default('Replicas'),
  MAINSTAY_TLS: z.string().default('/etc/mainstay/tls'),
  MAINSTAY_AGENT_PORT: z.coerce.number().int().default(8008),
  MAINSTAY_DEADMAN_SECONDS: z.coerce.number().positive().default(3),
});

export interface AgentSettings {
  readonly engine: EngineName;
  readonly namespace: string;
  readonly cluster: string;
  readonly uid: string;
  readonly instance: string;
  readonly node: string;
  readonly podIp: string;
  readonly etcdEndpoints: readonly string[];
  /** Folder with what etcd asks of clients (operator/dcs/etcd-credentials.ts); undefined: nothing. */
  readonly etcdCredentials: string | undefined;
  /** EndpointSlice that the primary keeps; empty: none. */
  readonly serviceRw: string;
  readonly volume: string;
  /** Where the write-ahead log of new data is to be; undefined: with the data. */
  readonly walVolume: string | undefined;
  /** Group: the database elects its primary itself. */
  readonly topology: 'Replicas' | 'Group';
  /** Folder with the cluster's certificates (operator/api/tls-files.ts). */
  readonly tls: string;
  readonly agentPort: number;
  /** Silence of the agent after which the deadman kills everything, in milliseconds. */
  readonly deadmanLimit: number;
}

export function readSettings(env: NodeJS.ProcessEnv): AgentSettings {
  const parsed = Environment.safeParse(env);
  if (!parsed.success)
    throw new MainstayError(
      'ConfigurationInvalid',
      `The agent's environment is incomplete: ${z.prettifyError(parsed.error)}`,
    );
  const e = parsed.data;
  return {
    engine: e.MAINSTAY_ENGINE,
    namespace: e.MAINSTAY_NAMESPACE,
    cluster: e.MAINSTAY_CLUSTER,
    uid: e.MAINSTAY_CLUSTER_UID,
    instance: e.MAINSTAY_INSTANCE,
    node: e.MAINSTAY_NODE,
    podIp: e.MAINSTAY_POD_IP,
    etcdEndpoints: e.MAINSTAY_ETCD_ENDPOINTS.split(','),
    etcdCredentials: e.MAINSTAY_ETCD_CREDENTIALS || undefined,
    serviceRw: e.MAINSTAY_SERVICE_RW,
    volume: e.MAINSTAY_VOLUME,
    walVolume: e.MAINSTAY_WAL_VOLUME || undefined,
    topology: e.MAINSTAY_TOPOLOGY,
    tls: e.MAINSTAY_TLS,
    agentPort: e.MAINSTAY_AGENT_PORT,
    deadmanLimit: e.MAINSTAY_DEADMAN_SECONDS * 1000,
  };
}
