/** spin, which comes from Debian and is installed only when missing, and the verifiers that are compiled from its output. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { cacheFolder } from '../cluster/layout.ts';
import { run } from '../testbed/command.ts';
import type { Variant } from './variants.ts';

const model = join(import.meta.dirname, 'ha.pml');
const verifiers = join(cacheFolder, 'model');

/** Installs spin and a C compiler where they are missing; throws in words for people where it may not. */
export async function ensurePrograms(signal: AbortSignal, say: (line: string) => void): Promise<void> {
  const missing = [
    ...((await isThere('spin')) ? [] : ['spin']),
    ...((await isThere('gcc')) ? [] : ['gcc', 'libc6-dev']),
  ];
  if (missing.length === 0) return;
  const remedy = `Install them yourself (Debian: apt-get install ${missing.join(' ')}), then run this again.`;
  if (!(await isThere('apt-get')))
    throw new Error(`The model needs ${missing.join(', ')}, and this is not Debian. ${remedy}`);
  if (process.getuid?.() !== 0)
    throw new Error(`The model needs ${missing.join(', ')}, and only root may install packages. ${remedy}`);
  say(`Installing ${missing.join(', ')} from Debian`);
  const options = { signal, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 600_000 };
  try {
    await run('apt-get', ['update', '-q'], options);
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], options);
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`The model needs ${missing.join(', ')}, and they could not be installed. ${remedy}`, {
      cause: error,
    });
  }
}

export interface Build {
  readonly memoryMiB: number;
  /** For a short search, optimising takes longer than it saves. */
  readonly optimise: '-O0' | '-O1' | '-O2';
}

/** Path of the verifier of one variant, compiled first where it is missing: keyed by all that decides what comes out. */
export async function verifier(
  { options, compress }: Variant,
  { memoryMiB, optimise }: Build,
  signal: AbortSignal,
): Promise<string> {
  const flags = [
    ...[optimise, '-w', '-DSAFETY', '-DNOREDUCE', '-DNOCLAIM', '-DVECTORSZ=512', `-DMEMLIM=${memoryMiB}`],
    ...(compress === true ? ['-DCOLLAPSE'] : []),
  ];
  const compiler = await run('gcc', ['--version'], { signal });
  const spin = await run('spin', ['-V'], { signal });
  const key = createHash('sha256')
    .update(JSON.stringify([options, flags, compiler, spin]))
    .update(await readFile(model))
    .digest('hex')
    .slice(0, 16);
  const path = join(verifiers, key);
  if (await canRun(path)) return path;
  await mkdir(verifiers, { recursive: true });
  const scratch = await mkdtemp(join(verifiers, '.building-'));
  try {
    await copyFile(model, join(scratch, 'ha.pml'));
    await run('spin', ['-a', ...options.split(' ').map((option) => `-D${option}`), 'ha.pml'], { signal, cwd: scratch });
    await run('gcc', [...flags, '-o', 'pan', 'pan.c'], { signal, cwd: scratch, timeoutMs: 300_000 });
    await rename(join(scratch, 'pan'), path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}

async function isThere(program: string): Promise<boolean> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = await Promise.all(folders.map((folder) => canRun(join(folder, program))));
  return found.includes(true);
}

const canRun = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
