/** Credentials from a program that the kubeconfig names, as those of managed clusters do (client.authentication.k8s.io). */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { MainstayError } from '../platform/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Credentials } from './access.ts';

export interface ExecPlugin {
  readonly apiVersion?: string;
  readonly command: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly installHint?: string;
}

interface ExecCredential {
  readonly status?: {
    readonly token?: string;
    readonly clientCertificateData?: string;
    readonly clientKeyData?: string;
    readonly expirationTimestamp?: string;
  };
}

const timeoutMs = 60_000;
/** Asked again this long before they expire. */
const marginMs = 30_000;

/** Asked once, and again shortly before what it gave expires. */
export function execCredentials(
  plugin: ExecPlugin,
  directory: string,
  clock: Clock,
): () => Promise<Partial<Credentials>> {
  let known: { readonly credentials: Partial<Credentials>; readonly until: number } | undefined;
  return async () => {
    if (known === undefined || clock.wall().getTime() >= known.until) {
      const { token, clientCertificateData, clientKeyData, expirationTimestamp } =
        (await ask(plugin, directory)).status ?? {};
      known = {
        credentials: {
          ...(token !== undefined && { token }),
          ...(clientCertificateData !== undefined && { clientCertificate: clientCertificateData }),
          ...(clientKeyData !== undefined && { clientKey: clientKeyData }),
        },
        until: expirationTimestamp === undefined ? Infinity : Date.parse(expirationTimestamp) - marginMs,
      };
    }
    return known.credentials;
  };
}

async function ask(
  { apiVersion, command, args, env, installHint }: ExecPlugin,
  directory: string,
): Promise<ExecCredential> {
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } };
  // A name with a slash is relative to the kubeconfig, any other is looked for in $PATH.
  const program = command.includes('/') ? resolve(directory, command) : command;
  try {
    const { stdout } = await promisify(execFile)(program, [...(args ?? [])], {
      timeout: timeoutMs,
      env: {
        ...process.env,
        ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])),
        KUBERNETES_EXEC_INFO: JSON.stringify(info),
      },
    });
    return JSON.parse(stdout) as ExecCredential;
  } catch (cause) {
    const hint = installHint === undefined ? '' : ` ${installHint}`;
    const problem = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new MainstayError(
      'ConfigurationInvalid',
      `${command}, which the kubeconfig names for credentials: ${problem}.${hint}`,
      {
        cause,
      },
    );
  }
}
