/** Every error code of Mainstay, with what it means; docs/reference/errors.md lists the same, and a test compares them. */
export const errorCodes = {
  KubernetesApi: 'The Kubernetes API server refused a request.',
  KubernetesUnreachable: 'The Kubernetes API server did not answer in time.',
  LeadershipLost: 'Another operator may lead by now, so that this one writes nothing more; it ends and starts anew.',
  DcsUnreachable: 'etcd could not be reached or did not answer in time.',
  DcsRejected: 'etcd refused a request.',
  DcsCompacted: 'etcd no longer has the history from which a watch was to begin.',
  ConfigurationInvalid: 'A setting of the process is missing or malformed.',
  DatabaseCommandFailed: 'A database tool ended with an error.',
  DatabaseUnreachable: 'The database did not answer in time.',
  DataDirectoryUnusable: 'The data directory is in a state that must not be touched automatically.',
  UpgradeRefused: 'The database can’t be upgraded to the version asked for; the message says why.',
  ResourceInvalid: 'A custom resource does not match its schema.',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** The one base of all errors thrown on purpose: a stable code, whether trying again may help, and the cause. */
export class MainstayError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly retryable?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
