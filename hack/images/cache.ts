// The cache of images: `${MAINSTAY_CACHE:-$HOME/.cache/mainstay}/images`, where every file is named after its content
// and appears complete or not at all.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheFolder as commonCacheFolder } from '../cluster/layout.ts';

export const cacheFolder = path.join(commonCacheFolder, 'images');

/** A short digest over texts and the contents of files, in the given order. */
export async function digest(parts: readonly (string | { readonly file: string })[]): Promise<string> {
  const hash = createHash('sha256');
  for (const part of parts) {
    if (typeof part === 'string') hash.update(`text ${part.length}\n${part}`);
    else await addFile(hash, part.file);
  }
  return hash.digest('hex').slice(0, 16);
}

async function addFile(hash: Hash, file: string): Promise<void> {
  hash.update(`file ${(await stat(file)).size}\n`);
  await pipeline(createReadStream(file), hash, { end: false });
}

/** The file's size, or nothing when it isn't there. */
export async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    (found) => found.size,
    () => undefined,
  );
}

/** Makes a file under a name that no reader looks for, then renames it. */
export async function makeFile(file: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}.part`;
  try {
    await make(unfinished);
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** Keeps this file and the one before it, so that a change that is taken back costs nothing. */
export async function removeOlder(file: string, prefix: string): Promise<void> {
  const folder = path.dirname(file);
  const names = (await readdir(folder)).filter((name) => name.startsWith(prefix) && name.endsWith('.tar'));
  const dated = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(path.join(folder, name))).mtimeMs })),
  );
  const old = dated
    .filter(({ name }) => name !== path.basename(file))
    .toSorted((a, b) => b.time - a.time)
    .slice(1);
  await Promise.all(old.map(({ name }) => rm(path.join(folder, name), { force: true })));
}

/** An empty folder for the time of `use`, which holds the cache's lock; what a killed run left there goes first. */
export async function withWorkFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = path.join(cacheFolder, 'work');
  await removeTree(folder);
  await mkdir(folder, { recursive: true });
  try {
    return await use(folder);
  } finally {
    await removeTree(folder);
  }
}

/** Never follows a mount into what belongs to the machine. */
async function removeTree(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const inside = mounts.split('\n').find((line) => line.split(' ')[4]?.startsWith(`${folder}/`));
  if (inside !== undefined) throw new Error(`${folder} has a mount inside (${inside}). Unmount it, then try again.`);
  await rm(folder, { recursive: true, force: true });
}
