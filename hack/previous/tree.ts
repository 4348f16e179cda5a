/** The sources of the previous version with its bundles built: in the cache, whole or not at all. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from '../cluster/layout.ts';
import { withLock } from '../cluster/lock.ts';
import { step } from '../cluster/progress.ts';
import { run } from '../images/command.ts';
import { previousCommit } from './commit.ts';

const repository = path.join(import.meta.dirname, '../..');

export interface PreviousVersion {
  readonly commit: string;
  /** Its files, and build/operator.mjs, build/agent.mjs and build/kubectl-mainstay. */
  readonly folder: string;
}

/** Built first where it is missing: 5 s, or two minutes where it depends on other packages than we. */
export async function previousVersion(signal: AbortSignal = new AbortController().signal): Promise<PreviousVersion> {
  const commit = await resolved(previousCommit, signal);
  const folder = path.join(cacheFolder, 'previous', commit.slice(0, 12));
  if (!existsSync(folder))
    await withLock(`${folder}.lock`, () => build(commit, folder, signal), { wait: true, signal });
  return { commit, folder };
}

async function resolved(name: string, signal: AbortSignal): Promise<string> {
  try {
    return (await git(['rev-parse', '--verify', '--quiet', `${name}^{commit}`], signal)).trim();
  } catch (error) {
    throw new Error(
      `The previous version, ${name} (hack/previous/commit.ts), is not in this clone. Get the whole history: git fetch --unshallow --tags.`,
      { cause: error },
    );
  }
}

/** Of this version's history: otherwise it is not what this one replaces. */
export async function isAncestor(commit: string, signal: AbortSignal = new AbortController().signal): Promise<boolean> {
  return git(['merge-base', '--is-ancestor', commit, 'HEAD'], signal).then(
    () => true,
    () => false,
  );
}

async function build(commit: string, folder: string, signal: AbortSignal): Promise<void> {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.part`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  try {
    await step(`Building the previous version, ${commit.slice(0, 12)}`, async () => {
      const archive = `${unfinished}.tar`;
      await git(['archive', '--output', archive, commit], signal);
      await run('tar', ['-xf', archive, '-C', unfinished], { signal });
      await rm(archive);
      await dependencies(unfinished, signal);
      await run(process.execPath, ['hack/build/main.ts'], { signal, cwd: unfinished });
    });
    // The bundles need none, and a link would lead to a checkout that may go.
    await rm(path.join(unfinished, 'node_modules'), { recursive: true, force: true });
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Those that its own lock file pins. */
async function dependencies(folder: string, signal: AbortSignal): Promise<void> {
  const lock = (of: string): Promise<string> => readFile(path.join(of, 'package-lock.json'), 'utf8');
  if ((await lock(folder)) === (await lock(repository))) {
    await symlink(path.join(repository, 'node_modules'), path.join(folder, 'node_modules'));
    return;
  }
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--engine-strict=false', '--loglevel=error'];
  await run('npm', ['install', ...quiet], { signal, cwd: folder });
}

const git = (args: readonly string[], signal: AbortSignal): Promise<string> =>
  run('git', ['-C', repository, ...args], { signal });
