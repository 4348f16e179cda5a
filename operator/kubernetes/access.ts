import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { MainstayError } from '../platform/errors.ts';
import { execCredentials, type ExecPlugin } from './exec-credentials.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';

/** How to reach and prove oneself to one API server. */
export interface ClusterAccess {
  /** `https://host:port` */
  readonly server: string;
  /** The namespace this process lives in (or the context names). */
  readonly namespace: string;
  /** Called before each request; cheap, because it caches. Rejects when a file cannot be read: an error, not a crash. */
  credentials(): Promise<Credentials>;
}

export interface Credentials {
  readonly token?: string | undefined;
  /** PEM */
  readonly ca?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  readonly serverName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
}

/** The kubelet replaces the token and the CA long before they expire; client-go reads as often. */
const CREDENTIALS_MAX_AGE_MS = 60_000;

export interface InClusterOptions extends Partial<Surroundings> {
  /** Where the ServiceAccount is mounted. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** The access of a Pod's ServiceAccount. */
export async function inCluster(options: InClusterOptions = {}): Promise<ClusterAccess> {
  const { clock, log } = surroundingsFrom(options);
  const directory = options.directory ?? '/var/run/secrets/kubernetes.io/serviceaccount';
  const environment = options.environment ?? process.env;
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host === undefined || host === '') {
    throw new MainstayError('ConfigurationInvalid', 'KUBERNETES_SERVICE_HOST is not set: this is not a Pod.');
  }
  const port = environment['KUBERNETES_SERVICE_PORT_HTTPS'] ?? environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  const read = async (file: string): Promise<string> => (await readFile(resolve(directory, file), 'utf8')).trim();

  let known: { readonly credentials: Credentials; readonly readAt: number } | undefined;
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: await read('namespace').catch(() => 'default'),
    async credentials() {
      if (known !== undefined && clock.now() - known.readAt < CREDENTIALS_MAX_AGE_MS) return known.credentials;
      try {
        const [token, ca] = await Promise.all([read('token'), read('ca.crt')]);
        known = { credentials: { token, ca }, readAt: clock.now() };
      } catch (cause) {
        // A token outlives its replacement by far: better the old one than none, the server will say when it is too old.
        if (known === undefined) {
          throw new MainstayError('ConfigurationInvalid', `The ServiceAccount in ${directory} cannot be read.`, {
            retryable: true,
            cause,
          });
        }
        log.warn({ err: cause }, 'the ServiceAccount token cannot be read again; going on with the last one');
      }
      return known.credentials;
    },
  };
}

interface Kubeconfig {
  readonly 'current-context'?: string;
  readonly contexts?: readonly Named<'context', { cluster: string; user: string; namespace?: string }>[];
  readonly clusters?: readonly Named<'cluster', KubeconfigCluster>[];
  readonly users?: readonly Named<'user', KubeconfigUser>[];
}
type Named<Field extends string, T> = { readonly name: string } & Readonly<Record<Field, T>>;
interface KubeconfigCluster {
  readonly server: string;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'tls-server-name'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
}
interface KubeconfigUser {
  readonly exec?: ExecPlugin;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
}

/** The current context (or the named one) of a kubeconfig file. */
export async function fromKubeconfig(path: string, contextName?: string): Promise<ClusterAccess> {
  return fromKubeconfigText(await readFile(path, 'utf8'), { source: path, directory: dirname(path), contextName });
}

export interface KubeconfigOptions extends Partial<Surroundings> {
  /** For messages. */
  readonly source: string;
  /** What names of files in it are relative to. */
  readonly directory: string;
  readonly contextName?: string | undefined;
}

export async function fromKubeconfigText(text: string, options: KubeconfigOptions): Promise<ClusterAccess> {
  const { source: path, directory, contextName } = options;
  // Only people and tests come this way: the package stays out of the operator's start.
  const { parse } = await import('yaml');
  const config = parse(text) as Kubeconfig;
  const missing = (what: string): MainstayError =>
    new MainstayError('ConfigurationInvalid', `The kubeconfig ${path} has no ${what}.`);

  const name = contextName ?? config['current-context'];
  const context = config.contexts?.find((entry) => entry.name === name)?.context;
  if (context === undefined) throw missing(`context ${name ?? '(current-context is empty)'}`);
  const cluster = config.clusters?.find((entry) => entry.name === context.cluster)?.cluster;
  if (cluster === undefined) throw missing(`cluster ${context.cluster}`);
  const user = config.users?.find((entry) => entry.name === context.user)?.user;
  if (user === undefined) throw missing(`user ${context.user}`);

  const pem = async (data: string | undefined, file: string | undefined): Promise<string | undefined> => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return file === undefined ? undefined : await readFile(resolve(directory, file), 'utf8');
  };
  const fixed: Credentials = {
    token: user.token ?? (await pem(undefined, user.tokenFile))?.trim(),
    ca: await pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
    clientCertificate: await pem(user['client-certificate-data'], user['client-certificate']),
    clientKey: await pem(user['client-key-data'], user['client-key']),
    serverName: cluster['tls-server-name'],
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'],
  };
  if (fixed.token === undefined && fixed.clientCertificate === undefined && user.exec === undefined) {
    throw missing(`token, client certificate or exec plug-in for user ${context.user}`);
  }
  const plugin = user.exec && execCredentials(user.exec, directory, surroundingsFrom(options).clock);
  return {
    server: cluster.server.replace(/\/$/, ''),
    namespace: context.namespace ?? 'default',
    credentials: async () => (plugin ? { ...fixed, ...(await plugin()) } : fixed),
  };
}
