import { readFileSync } from 'node:fs';
import { attempt } from './process.ts';

/** Mount points below any of the folders, deepest last. */
export function mountsBelow(folders: readonly string[]): readonly string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[1] ?? [])
    .map((path) => path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))))
    .filter((path) => folders.some((folder) => path.startsWith(`${folder}/`)))
    .sort();
}

export async function unmountBelow(folders: readonly string[]): Promise<void> {
  // A mount can be stacked on another at the same place.
  for (let layers = 0; layers < 10; layers++) {
    const mounts = mountsBelow(folders).toReversed();
    if (mounts.length === 0) return;
    for (const chunk of chunks(mounts, 100)) await attempt('umount', ['-l', ...chunk]);
  }
  throw new Error(`Mounts can't be removed: ${mountsBelow(folders).join(', ')}`);
}

function chunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
