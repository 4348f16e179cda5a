/** Instances whose volumes can be frozen: writes to them then wait, as on a disk that has stopped answering. */
import { freeze, moveBackFromDisk, moveToDiskOfItsOwn, thaw, volumeFolder } from '../testbed/volume-disks.ts';
import type { Arena } from './arena.ts';

/** Moves each instance's volume to a loop device while its node is off; the returned function moves them back. */
export async function giveVolumesDisksOfTheirOwn(arena: Arena): Promise<() => Promise<void>> {
  const moved: string[] = [];
  const back = async (): Promise<void> => {
    for (const node of moved) await whileOff(arena, node, moveBackFromDisk);
  };
  try {
    for (const { node } of arena.instances()) {
      moved.push(node);
      await whileOff(arena, node, moveToDiskOfItsOwn);
    }
  } catch (error) {
    await back();
    throw error;
  }
  return back;
}

export async function freezeVolume(arena: Arena, node: string): Promise<void> {
  await freeze(await volumeOn(arena, node));
}

/** No error if it is not frozen. */
export async function thawVolume(arena: Arena, node: string): Promise<void> {
  await thaw(await volumeOn(arena, node));
}

async function whileOff(arena: Arena, node: string, work: (volume: string) => Promise<void>): Promise<void> {
  const volume = await volumeOn(arena, node);
  // This ends a mount on the volume, too.
  await arena.nodes.powerOff(node);
  await work(volume);
  await arena.nodes.powerOn(node);
  await arena.whole();
}

function volumeOn(arena: Arena, node: string): Promise<string> {
  const instance = arena.instances().find((pod) => pod.node === node)?.name ?? '';
  return volumeFolder(node, arena.orders.namespace, instance);
}
