/** The programs that are built from Go modules, cached by everything that decides what comes out. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './layout.ts';
import { withLock } from './lock.ts';
import { run } from './process.ts';
import { step, type Step } from './progress.ts';

export interface Artifacts {
  /** Kubernetes' programs, etcd and the volume provisioner in one; which one it is says argv[0]. */
  readonly kubernetes: string;
  readonly pause: string;
  readonly coredns: string;
  readonly helm: string;
  readonly etcd: string;
  readonly etcdctl: string;
}

/** Paths of all programs, built first where missing (about 6 minutes on two cores, once). */
export async function artifacts(signal: AbortSignal = new AbortController().signal): Promise<Artifacts> {
  const paths = {} as Record<keyof Artifacts, string>;
  for (const name of Object.keys(recipes) as (keyof Artifacts)[]) paths[name] = await artifact(name, signal);
  return paths;
}

/** Path of one program, built first where it is missing. */
export async function artifact(name: keyof Artifacts, signal: AbortSignal): Promise<string> {
  const goVersion = await run('go', ['version'], { signal }).catch((error: unknown) => {
    throw new Error('Go is needed to build Kubernetes. Install Go 1.26 or newer, then run this again.', {
      cause: error,
    });
  });
  const path = join(cacheFolder, 'artifacts', `${name}-${cacheKey(recipes[name], goVersion)}`);
  // Whoever comes second waits for the first one's result instead of building it again.
  if (!existsSync(path))
    await withLock(join(cacheFolder, 'artifacts.lock'), () => build(name, path, signal), { wait: true, signal });
  return path;
}

/** A main package: of a module in this folder, or of a published module at a version. */
export type Recipe =
  | { readonly from: 'folder'; readonly folder: string; readonly package: string; readonly flags: readonly string[] }
  | { readonly from: 'module'; readonly module: string; readonly flags: readonly string[] };

const kubernetesVersion = 'v1.34.4';
const version = 'k8s.io/component-base/version';
const small = ['-trimpath', '-ldflags', '-s -w'];
const here = import.meta.dirname;

const recipes: Readonly<Record<keyof Artifacts, Recipe>> = {
  kubernetes: {
    from: 'folder',
    folder: join(here, 'kubernetes'),
    package: '.',
    flags: [
      '-trimpath',
      '-ldflags',
      // Without a version kubelets can't register.
      `-s -w -X ${version}.gitVersion=${kubernetesVersion} -X ${version}.gitMajor=1 -X ${version}.gitMinor=34`,
    ],
  },
  pause: { from: 'folder', folder: join(here, 'kubernetes'), package: './pause', flags: small },
  coredns: { from: 'module', module: 'github.com/coredns/coredns@v1.12.4', flags: small },
  helm: { from: 'module', module: 'helm.sh/helm/v4/cmd/helm@v4.3.1', flags: small },
  etcd: { from: 'folder', folder: join(here, 'etcd'), package: 'go.etcd.io/etcd/server/v3', flags: small },
  etcdctl: { from: 'folder', folder: join(here, 'etcd'), package: 'go.etcd.io/etcd/etcdctl/v3', flags: small },
};

/** Hash of the sources, versions, flags and compiler. */
export function cacheKey(recipe: Recipe, goVersion: string): string {
  const hash = createHash('sha256').update(JSON.stringify([recipe.flags, goVersion.trim()]));
  switch (recipe.from) {
    case 'module':
      hash.update(recipe.module);
      break;
    case 'folder': {
      hash.update(recipe.package);
      const files = readdirSync(recipe.folder, { recursive: true, encoding: 'utf8' });
      for (const file of files.filter((name) => /\.(go|mod|sum)$/.test(name)).sort()) {
        hash.update(`\0${file}\0`).update(readFileSync(join(recipe.folder, file)));
      }
      break;
    }
  }
  return hash.digest('hex').slice(0, 16);
}

async function build(name: keyof Artifacts, path: string, signal: AbortSignal): Promise<void> {
  if (existsSync(path)) return;
  mkdirSync(join(cacheFolder, 'artifacts'), { recursive: true });
  const scratch = mkdtempSync(join(cacheFolder, 'artifacts', '.building-'));
  try {
    await step(`Building ${name}`, (progress) => compile(recipes[name], scratch, progress, signal));
    const [program] = readdirSync(scratch);
    if (program === undefined) throw new Error(`The build of ${name} left no program behind`);
    renameSync(join(scratch, program), path);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function compile(recipe: Recipe, into: string, progress: Step, signal: AbortSignal): Promise<void> {
  let modules = 0;
  let packages = 0;
  const onLine = (line: string): void => {
    if (line.startsWith('go: downloading')) modules++;
    else packages++;
    progress.reached(`${modules} modules downloaded, ${packages} packages compiled,`);
  };
  const options = { signal, onLine, timeoutMs: 30 * 60_000 };
  switch (recipe.from) {
    case 'folder': {
      const args = ['build', '-v', ...recipe.flags, '-o', `${into}/`, recipe.package];
      await run('go', args, { ...options, cwd: recipe.folder, env: { CGO_ENABLED: '0' } });
      return;
    }
    case 'module': {
      const env = { CGO_ENABLED: '0', GOBIN: into };
      await run('go', ['install', '-v', ...recipe.flags, recipe.module], { ...options, cwd: into, env });
      return;
    }
  }
}
