/** Volumes on file systems of their own, which can be frozen, filled or broken as a disk of a machine can be. Local cluster only. */
import { mkdir, readdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { layoutOf, stateFolder, type NodeName } from '../cluster/layout.ts';
import { run, tryRun } from './command.ts';

const imageBytes = 4 * 1024 ** 3;
const fillingFiles = 40;
const hogName = 'hog';

/** The folder that the provisioner has made for a claim; it begins with the claim's name. */
export async function volumeFolder(node: string, namespace: string, claim: string): Promise<string> {
  const volumes = path.join(layoutOf(node as NodeName).disk, 'volumes');
  const folder = (await readdir(volumes)).find((entry) => entry.startsWith(`${namespace}_${claim}_`));
  if (folder === undefined) throw new Error(`${volumes} holds no volume of ${namespace}/${claim}`);
  return path.join(volumes, folder);
}

/** Puts the volume on a loop device; while its node is off. A power-off ends the mount. */
export async function moveToDiskOfItsOwn(volume: string): Promise<void> {
  const image = imageOf(volume);
  await mkdir(path.dirname(image), { recursive: true });
  await writeFile(image, '');
  await truncate(image, imageBytes);
  await run('mkfs.ext4', ['-q', image]);
  await mounted(image, (inside) => run('cp', ['--archive', `${volume}/.`, inside]));
  await run('mount', ['-o', 'loop,errors=remount-ro', image, volume]);
}

/** And back, while its node is off again. */
export async function moveBackFromDisk(volume: string): Promise<void> {
  const image = imageOf(volume);
  // What was broken on purpose is repaired; 1 = it has been.
  await tryRun('e2fsck', ['-p', image]);
  for (const entry of await readdir(volume)) await rm(path.join(volume, entry), { recursive: true });
  await mounted(image, async (inside) => {
    // It comes back if its removal was not yet on the disk that broke.
    await rm(path.join(inside, hogName), { recursive: true, force: true });
    await run('cp', ['--archive', `${inside}/.`, volume]);
  });
  await rm(image);
}

/** Writes wait, as on a disk that has stopped answering. */
export async function freeze(volume: string): Promise<void> {
  await run('fsfreeze', ['--freeze', volume]);
}

/** No error if it is not frozen. */
export async function thaw(volume: string): Promise<void> {
  await tryRun('fsfreeze', ['--unfreeze', volume]);
}

/** Takes all that is free; the returned function gives it back. */
export async function fill(volume: string): Promise<() => Promise<void>> {
  const hog = path.join(volume, hogName);
  await mkdir(hog, { recursive: true });
  // What one file asks for is never quite there, as its own bookkeeping takes some; the next ones take the rest.
  for (let file = 0; file < fillingFiles; file += 1) {
    const { bavail, bsize } = await statfs(volume);
    if (bavail === 0) break;
    const bytes = Math.max(bsize, Math.floor((bavail * bsize) / (file % 2 === 0 ? 1 : 2)));
    await tryRun('fallocate', ['--length', String(bytes), path.join(hog, String(file))]);
  }
  return () => rm(hog, { recursive: true, force: true });
}

/** An error in the file system, after which it is read-only until it is mounted anew: as on a disk that has returned one. */
export async function breakFileSystem(volume: string): Promise<void> {
  const device = path.basename((await run('findmnt', ['--noheadings', '--output', 'SOURCE', volume])).trim());
  await writeFile(`/sys/fs/ext4/${device}/trigger_fs_error`, 'broken by a test');
}

async function mounted(image: string, work: (folder: string) => Promise<unknown>): Promise<void> {
  const folder = `${image}.mounted`;
  await mkdir(folder, { recursive: true });
  await run('mount', ['-o', 'loop', image, folder]);
  try {
    await rm(path.join(folder, 'lost+found'), { recursive: true, force: true });
    await work(folder);
  } finally {
    await run('umount', [folder]);
    await rm(folder, { recursive: true });
  }
}

const imageOf = (volume: string): string => path.join(stateFolder, 'disks', `${path.basename(volume)}.ext4`);
