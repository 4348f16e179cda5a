/** From nothing to a running operator: images and cluster side by side, then the chart. Whatever is there already is reused. */
import path from 'node:path';
import process from 'node:process';
import type { ImageKind } from '../images/build.ts';
import { repository, type ClusterAccess } from './cluster-access.ts';
import { run } from './command.ts';

export const systemNamespace = 'mainstay-system';
export const releaseName = 'mainstay';
export const operatorDeployment = 'mainstay-operator';
/** On the Deployment: the archive of the image that its Pods were started with. */
export const archiveMark = {
  annotation: 'mainstay.dev/image-archive',
  jsonPath: '{.metadata.annotations.mainstay\\.dev/image-archive}',
} as const;

export interface Saying {
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface Image {
  readonly name: string;
  readonly archive: string;
}

/** Cold, everything is compiled and downloaded on two cores. */
const coldMs = 30 * 60_000;

export async function deploy(access: ClusterAccess, { say, signal }: Saying): Promise<void> {
  const done = new AbortController();
  const both = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  // When one fails, the other is ended and waited for: nothing goes on behind the error.
  const work = access.kind === 'local' ? [images({ say, signal: both }), clusterUp({ say, signal: both })] : [];
  const settled = await Promise.allSettled(
    work.map((part) =>
      part.catch((error: unknown) => {
        done.abort(error);
        throw error;
      }),
    ),
  );
  signal?.throwIfAborted();
  const failure = settled.find((part) => part.status === 'rejected' && part.reason !== undefined);
  if (failure?.status === 'rejected') throw done.signal.reason;
  const [built] = settled;
  const archives = built?.status === 'fulfilled' ? (built.value as readonly Image[]) : [];
  if (access.kind === 'local') await load(archives, { say, signal });
  await installChart(access, archives, { say, signal });
}

/** Those that the cluster runs, or the ones named. */
export async function images({ say, signal }: Saying, kinds: readonly ImageKind[] = []): Promise<readonly Image[]> {
  const lines = await script('hack/images/main.ts', kinds, { say: labelled(say, 'images'), signal });
  return lines
    .split('\n')
    .filter((line) => line.includes('\t'))
    .map((line) => {
      const [name = '', , archive = ''] = line.split('\t');
      return { name, archive };
    });
}

export async function clusterUp({ say, signal }: Saying): Promise<void> {
  await script('hack/cluster/main.ts', ['up'], { say: labelled(say, 'cluster'), signal });
}

/** Removes the local cluster; resolves with what hack/cluster says about what is left (nothing). */
export async function clusterDown({ say, signal }: Saying): Promise<void> {
  await script('hack/cluster/main.ts', ['down'], { say: labelled(say, 'cluster'), signal });
}

export async function load(archives: readonly Image[], { say, signal }: Saying): Promise<void> {
  const files = archives.map((image) => image.archive);
  await script('hack/cluster/main.ts', ['load', ...files], { say: labelled(say, 'cluster'), signal });
}

async function installChart(access: ClusterAccess, archives: readonly Image[], { say, signal }: Saying): Promise<void> {
  const what = labelled(say, 'chart');
  const release = [releaseName, '--namespace', systemNamespace];
  const install = async (...more: readonly string[]): Promise<void> => {
    what(['helm upgrade --install mainstay charts/mainstay --wait', ...more].join(' '));
    await access.helm(
      [
        ...['upgrade', '--install', ...release.toSpliced(1, 0, path.join(repository, 'charts/mainstay')), ...more],
        ...['--create-namespace', '--wait', '--timeout', '5m'],
      ],
      { signal, timeoutMs: 6 * 60_000 },
    );
  };
  if (access.kind === 'own') {
    await install();
  } else {
    // A run that was ended amid an installation leaves a release that Helm takes for busy, or fields that it finds foreign.
    const status = await access.helm(['status', ...release, '--output', 'json'], { signal }).catch(() => '');
    if (status.includes('"pending-'))
      await access.helm(['uninstall', ...release, '--wait'], { signal, timeoutMs: 120_000 });
    await install().catch(async (error: unknown) => {
      signal?.throwIfAborted();
      what(String(error));
      await install('--force-conflicts');
    });
  }
  const mainstay = archives.find((image) => image.name.includes('/mainstay:'));
  if (mainstay !== undefined) await restartIfImageChanged(access, path.basename(mainstay.archive), { say, signal });
}

/** The tag of development images never changes, so neither does the Deployment when its image does. */
async function restartIfImageChanged(access: ClusterAccess, archive: string, { say, signal }: Saying): Promise<void> {
  const target = ['--namespace', systemNamespace, `deployment/${operatorDeployment}`];
  const running = await access.kubectl(['get', ...target, '--output', `jsonpath=${archiveMark.jsonPath}`], { signal });
  if (running === archive) return;
  if (running !== '') {
    labelled(say, 'chart')('the image has changed: the operator is restarted');
    await access.kubectl(['rollout', 'restart', ...target], { signal });
    await access.kubectl(['rollout', 'status', ...target, '--timeout=120s'], { signal, timeoutMs: 130_000 });
  }
  await access.kubectl(['annotate', '--overwrite', ...target, `${archiveMark.annotation}=${archive}`], { signal });
}

function script(file: string, args: readonly string[], { say, signal }: Saying): Promise<string> {
  return run(process.execPath, [path.join(repository, file), ...args], {
    signal,
    timeoutMs: coldMs,
    cwd: repository,
    onLine: (line) => say(line),
  });
}

function labelled(say: (line: string) => void, label: string): (line: string) => void {
  return (line) => say(line.startsWith(label) ? line : `${label.padEnd(8)} ${line}`);
}
