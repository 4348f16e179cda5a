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

/** The access of a Pod's ServiceAccount. */
export function inCluster(): Promise<ClusterAccess> {
  return Promise.reject(new Error('not yet'));
}

/** The current context (or the named one) of a kubeconfig file. */
export function fromKubeconfig(_path: string, _context?: string): Promise<ClusterAccess> {
  return Promise.reject(new Error('not yet'));
}
