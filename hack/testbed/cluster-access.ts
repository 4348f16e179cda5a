/** Which Kubernetes is used, and with which tools: the local one of hack/cluster, or the one that KUBECONFIG names. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { bundleProgram, type Bundle } from '../build/bundle.ts';
import { run, tryRun, type CommandOptions, type Finished } from './command.ts';

export interface ClusterAccess {
  /** `local`: nodes are ours to switch off. `own`: somebody's cluster, to be treated with care. */
  readonly kind: 'local' | 'own';
  readonly kubeconfig: string;
  readonly kubectl: (args: readonly string[], options?: CommandOptions) => Promise<string>;
  readonly tryKubectl: (args: readonly string[], options?: CommandOptions) => Promise<Finished>;
  /** The plugin, bundled from these sources, as `kubectl mainstay` runs it. */
  readonly mainstay: (args: readonly string[], options?: CommandOptions) => Promise<Finished>;
  readonly helm: (args: readonly string[], options?: CommandOptions) => Promise<string>;
}

export const repository = path.join(import.meta.dirname, '../..');
const stateFolder = path.join(process.env['MAINSTAY_STATE'] ?? '/var/tmp/mainstay', 'cluster');
const localKubeconfig = path.join(stateFolder, 'kubeconfig');

/** KUBECONFIG wins, unless it is the local cluster's own. */
export function chooseCluster(env: NodeJS.ProcessEnv = process.env): ClusterAccess {
  const own = env['KUBECONFIG'];
  return own === undefined || own === '' || path.resolve(own) === localKubeconfig
    ? access('local', localKubeconfig, path.join(stateFolder, 'bin'))
    : access('own', own, undefined);
}

export function localClusterIsUp(): boolean {
  return existsSync(localKubeconfig);
}

let plugin: Promise<Bundle> | undefined;

function access(kind: 'local' | 'own', kubeconfig: string, binFolder: string | undefined): ClusterAccess {
  const program = (name: string): string => (binFolder === undefined ? name : path.join(binFolder, name));
  const withKubeconfig = (options?: CommandOptions): CommandOptions => ({
    ...options,
    env: { ...process.env, ...options?.env, KUBECONFIG: kubeconfig },
  });
  return {
    kind,
    kubeconfig,
    kubectl: (args, options) => run(program('kubectl'), args, withKubeconfig(options)),
    tryKubectl: (args, options) => tryRun(program('kubectl'), args, withKubeconfig(options)),
    mainstay: async (args, options) => {
      plugin ??= bundleProgram('kubectl-mainstay');
      const { file } = await plugin;
      const folders = [...(binFolder === undefined ? [] : [binFolder]), process.env['PATH'] ?? ''];
      const env = { ...process.env, ...options?.env, PATH: folders.join(path.delimiter), KUBECONFIG: kubeconfig };
      return tryRun(process.execPath, [file, ...args], { ...options, env });
    },
    helm: (args, options) => run(program('helm'), args, withKubeconfig(options)),
  };
}
