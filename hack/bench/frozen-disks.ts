/** Volumes on file systems of their own, which can be frozen: writes to them then wait, as on a disk that has stopped answering. */
import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { layoutOf, stateFolder, type NodeName } from '../cluster/layout.ts';
import { run, tryRun } from '../testbed/command.ts';
import type { Arena } from './arena.ts';

const imageBytes = 4 * 1024 ** 3;

/** Moves each instance's volume to a loop device while its node is off; the returned function moves them back. */
export async function giveVolumesDisksOfTheirOwn(arena: Arena): Promise<() => Promise<void>> {
  const moved: string[] = [];
  const back = async (): Promise<void> => {
    for (const node of moved) await whileOff(arena, node, moveBack);
  };
  try {
    for (const { node } of arena.instances()) {
      moved.push(node);
      await whileOff(arena, node, moveOut);
    }
  } catch (error) {
    await back();
    throw error;
  }
  return back;
}

export async function freezeVolume(arena: Arena, node: string): Promise<void> {
  await run('fsfreeze', ['--freeze', await volumeOn(arena, node)]);
}

/** No error if it is not frozen. */
export async function thawVolume(arena: Arena, node: string): Promise<void> {
  await tryRun('fsfreeze', ['--unfreeze', await volumeOn(arena, node)]);
}

async function whileOff(arena: Arena, node: string, work: (volume: string) => Promise<void>): Promise<void> {
  const volume = await volumeOn(arena, node);
  // This ends a mount on the volume, too.
  await arena.nodes.powerOff(node);
  await work(volume);
  await arena.nodes.powerOn(node);
  await arena.whole();
}

async function moveOut(volume: string): Promise<void> {
  const image = imageOf(volume);
  await mkdir(path.dirname(image), { recursive: true });
  await writeFile(image, '');
  await truncate(image, imageBytes);
  await run('mkfs.ext4', ['-q', image]);
  await mounted(image, (inside) => run('cp', ['--archive', `${volume}/.`, inside]));
  await run('mount', ['-o', 'loop', image, volume]);
}

async function moveBack(volume: string): Promise<void> {
  const image = imageOf(volume);
  for (const entry of await readdir(volume)) await rm(path.join(volume, entry), { recursive: true });
  await mounted(image, (inside) => run('cp', ['--archive', `${inside}/.`, volume]));
  await rm(image);
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

const imageOf = (volume: string): string => path.join(stateFolder, 'bench-disks', `${path.basename(volume)}.ext4`);

async function volumeOn(arena: Arena, node: string): Promise<string> {
  const instance = arena.instances().find((pod) => pod.node === node)?.name;
  const volumes = path.join(layoutOf(node as NodeName).disk, 'volumes');
  // The provisioner calls a volume's folder after its claim.
  const folder = (await readdir(volumes)).find((entry) => entry.startsWith(`${arena.orders.namespace}_${instance}_`));
  if (instance === undefined || folder === undefined) throw new Error(`${volumes} holds no volume of the bench`);
  return path.join(volumes, folder);
}
