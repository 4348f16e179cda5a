// Base root file systems straight from Debian: what debian:<suite>-slim is, made here where no image registry is.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, digest, makeFile, sizeOf } from './cache.ts';
import { isInstalled, run } from './command.ts';
import type { Progress } from './progress.ts';

/** Suites that are used as bases; `released` ones have updates and a security archive. */
export type Suite =
  { readonly name: 'trixie'; readonly released: true } | { readonly name: 'forky'; readonly released: false };

/** As in the slim images: no documentation, no translations. The licences stay. */
const leftOut = [
  '/usr/share/man/*',
  '/usr/share/doc/*',
  '/usr/share/locale/*',
  '/usr/share/info/*',
  '/usr/share/lintian/*',
];

export interface Base {
  readonly tar: string;
  readonly key: string;
}

/** Made once per suite and options; `refresh` makes it anew, with the packages of today. */
export async function debianBase(
  suite: Suite,
  options: {
    readonly sourceDateEpoch: number;
    readonly refresh: boolean;
    readonly progress: Progress;
    readonly signal: AbortSignal;
  },
): Promise<Base> {
  const { signal } = options;
  const settings = ['--variant=minbase', '--mode=root', '--format=tar', ...dpkgOptions(), ...aptOptions()];
  const key = await digest([suite.name, String(options.sourceDateEpoch), ...settings]);
  const tar = path.join(cacheFolder, `base-${suite.name}-${key}.tar`);
  if (options.refresh || (await sizeOf(tar)) === undefined) {
    await options.progress.step(`Debian ${suite.name} as the base`, async () => {
      const sources = sourcesFor(suite, await mirrors(signal));
      const downloads = await downloadsOf(suite);
      await makeFile(tar, async (unfinished) => {
        await run('mmdebstrap', [...settings, ...keepDownloads(downloads), suite.name, unfinished, ...sources], {
          signal,
          env: { SOURCE_DATE_EPOCH: String(options.sourceDateEpoch), TMPDIR: '/var/tmp' },
        });
      });
    });
  }
  return { tar, key };
}

/** Packages that apt has downloaded for this suite, kept between builds. */
export async function downloadsOf(suite: Suite): Promise<string> {
  const folder = path.join(cacheFolder, 'apt', suite.name);
  await mkdir(path.join(folder, 'partial'), { recursive: true });
  return folder;
}

function dpkgOptions(): readonly string[] {
  return [...leftOut.map((files) => `path-exclude=${files}`), 'path-include=/usr/share/doc/*/copyright'].map(
    (option) => `--dpkgopt=${option}`,
  );
}

/** A mirror may be a snapshot whose Release file is past its date; the signature is checked all the same. */
function aptOptions(): readonly string[] {
  return ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=Acquire::Languages "none"'];
}

function keepDownloads(folder: string): readonly string[] {
  return [
    '--skip=download/empty',
    '--skip=essential/unlink',
    '--setup-hook=mkdir -p "$1"/var/cache/apt/archives',
    `--setup-hook=sync-in '${folder}' /var/cache/apt/archives/`,
    `--customize-hook=sync-out /var/cache/apt/archives '${folder}'`,
    '--customize-hook=rm -rf "$1"/var/log/apt "$1"/var/log/dpkg.log "$1"/var/log/alternatives.log "$1"/var/cache/ldconfig/aux-cache',
  ];
}

interface Mirrors {
  readonly main: string;
  readonly security: string | undefined;
}

/** The machine's own apt sources say where Debian is to be had from here. */
async function mirrors(signal: AbortSignal): Promise<Mirrors> {
  const ofLabel = async (label: string): Promise<string | undefined> => {
    const filters = ['Identifier: Packages', 'Origin: Debian', `Label: ${label}`];
    const found = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', ...filters], { signal });
    return found.split('\n').find((line) => line !== '');
  };
  if ((await ofLabel('Debian')) === undefined) await run('apt-get', ['update'], { signal });
  const main = await ofLabel('Debian');
  if (main === undefined) {
    throw new Error(
      'The apt sources of this machine name no Debian mirror. Build with Docker: see hack/images/README.md.',
    );
  }
  return { main, security: await ofLabel('Debian-Security') };
}

function sourcesFor(suite: Suite, { main, security }: Mirrors): readonly string[] {
  const sources = [`deb ${main} ${suite.name} main`];
  if (!suite.released) return sources;
  sources.push(`deb ${main} ${suite.name}-updates main`);
  if (security !== undefined) sources.push(`deb ${security} ${suite.name}-security main`);
  return sources;
}

/** Installs what is missing, by apt-get, when allowed to. */
export async function installTools(
  programs: ReadonlyMap<string, string>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const missing: string[] = [];
  for (const [program, debianPackage] of programs) {
    if (!(await isInstalled(program, signal))) missing.push(debianPackage);
  }
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`Missing: ${missing.join(', ')}. Install them, or run this as root.`);
  await progress.step(`installing ${missing.join(', ')}`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update'], { signal, env });
    await run('apt-get', ['install', '--yes', '--no-install-recommends', ...missing], { signal, env });
  });
}
