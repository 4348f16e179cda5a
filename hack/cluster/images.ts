/** Images get onto nodes as archives, because there is no registry. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { dockerArchive } from './docker-archive.ts';
import { layoutOf, stateFolder, type NodeName } from './layout.ts';
import { ctr, pauseImage } from './node.ts';
import { step } from './progress.ts';

/** Writes the archive of the image that every Pod's sandbox runs. */
export function writePauseImage(program: string): string {
  const archive = join(stateFolder, 'pause.tar');
  const file = { path: 'pause', content: readFileSync(program), mode: 0o755 };
  mkdirSync(stateFolder, { recursive: true });
  writeFileSync(
    archive,
    dockerArchive({ name: pauseImage, files: [file], entrypoint: ['/pause'], user: '65535:65535' }),
  );
  return archive;
}

/** Imports the archives on each of the nodes that hasn't the same content already. */
export async function loadImages(
  names: readonly NodeName[],
  archives: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const archive of archives) {
    const digest = await digestOf(archive, signal);
    const lacking = names.filter((name) => !loadedOn(name).includes(digest));
    if (lacking.length === 0) continue;
    await step(`Loading ${basename(archive)} on ${lacking.join(', ')}`, async (progress) => {
      for (const name of lacking) {
        progress.reached(name);
        await ctr(name, ['images', 'import', archive], signal);
        writeFileSync(loadedFile(name), JSON.stringify([...loadedOn(name), digest]));
      }
    });
  }
}

/** Remembered on the node's own disk, beside the images themselves. */
function loadedFile(name: NodeName): string {
  return join(layoutOf(name).disk, 'images.json');
}

function loadedOn(name: NodeName): readonly string[] {
  const file = loadedFile(name);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly string[]) : [];
}

async function digestOf(archive: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(archive), hash, { signal });
  return hash.digest('hex');
}
