// Base root file systems straight from Debian: what debian:<suite>-slim is, made here where no image registry is.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { step } from '../cluster/progress.ts';
import { cacheFolder, digest, makeFile, removeOlder, sizeOf, withWorkFolder } from './cache.ts';
import { run } from './command.ts';

/** Suites that are used as bases; `released` ones have updates and a security archive. */
export type Suite =
  { readonly name: 'trixie'; readonly released: true } | { readonly name: 'forky' | 'sid'; readonly released: false };

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

/** Made once per suite and options, until the packages are refreshed. */
export async function debianBase(suite: Suite, sourceDateEpoch: number, signal: AbortSignal): Promise<Base> {
  const settings = ['--variant=minbase', '--mode=root', '--format=tar', ...dpkgOptions(), ...aptOptions()];
  const key = await digest([suite.name, String(sourceDateEpoch), await generation(), ...settings]);
  const tar = path.join(cacheFolder, `base-${suite.name}-${key}.tar`);
  if ((await sizeOf(tar)) === undefined) {
    await step(`Making a base of Debian ${suite.name}`, async () => {
      const sources = sourcesFor(suite, await mirrors(signal));
      const keep = keepDownloads(await downloadsOf(suite));
      await withWorkFolder((work) =>
        makeFile(tar, async (unfinished) => {
          const env = { SOURCE_DATE_EPOCH: String(sourceDateEpoch), TMPDIR: work };
          await run('mmdebstrap', [...settings, ...keep, suite.name, unfinished, ...sources], { signal, env });
        }),
      );
    });
    await removeOlder(tar, `base-${suite.name}-`);
  }
  return { tar, key };
}

const generationFile = path.join(cacheFolder, 'packages-refreshed');

/** From now on everything that holds Debian packages is out of date. */
export async function refreshPackages(): Promise<void> {
  await mkdir(cacheFolder, { recursive: true });
  await rm(path.join(cacheFolder, 'apt'), { recursive: true, force: true });
  await writeFile(generationFile, new Date().toISOString());
}

async function generation(): Promise<string> {
  return readFile(generationFile, 'utf8').catch(() => 'first');
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
export async function installTools(programs: readonly string[], signal: AbortSignal): Promise<void> {
  const missing = programs.filter((program) => !existsSync(`/usr/bin/${program}`));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`Missing: ${missing.join(', ')}. Install them, or run this as root.`);
  await step(`Installing ${missing.join(', ')} from Debian`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update'], { signal, env });
    await run('apt-get', ['install', '--yes', '--no-install-recommends', ...missing], { signal, env });
  });
}
