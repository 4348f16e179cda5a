/** The user's own access: whatever kubectl would use, by the same kubeconfig. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fromKubeconfigText } from '../kubernetes/access.ts';
import { kubernetesClient } from '../kubernetes/client.ts';
import { createTransport } from '../kubernetes/transport.ts';
import { MainstayError } from '../platform/errors.ts';
import { createLogger } from '../platform/log.ts';
import type { Input, Session } from './command.ts';

export async function connect(input: Input): Promise<Session> {
  const flags = ['kubeconfig', 'context'].flatMap((name) => {
    const value = input.values.get(name);
    return value === undefined ? [] : [`--${name}=${value}`];
  });
  const access = await fromKubeconfigText(await mergedKubeconfig(flags), {
    source: 'kubeconfig that kubectl shows',
    directory: process.cwd(),
  });
  const namespace = input.values.get('namespace') ?? access.namespace;
  const silent = { log: createLogger('cli', 'silent') };
  return {
    access,
    client: kubernetesClient(access, silent),
    transport: createTransport(access, silent),
    namespace,
    kubectlFlags: [...flags, `--namespace=${namespace}`],
  };
}

/** kubectl merges the files of $KUBECONFIG and reads the certificates that they name. */
async function mergedKubeconfig(flags: readonly string[]): Promise<string> {
  const args = [...flags, 'config', 'view', '--raw', '--flatten', '--minify', '--output=json'];
  try {
    return (await promisify(execFile)('kubectl', args, { maxBuffer: 16_777_216, timeout: 30_000 })).stdout;
  } catch (cause) {
    const said = (cause as { readonly stderr?: string }).stderr?.trim();
    const problem = said === undefined || said === '' ? (cause as Error).message : said;
    throw new MainstayError('ConfigurationInvalid', `kubectl can’t show the kubeconfig: ${problem}`, { cause });
  }
}
