/** Writes an image as `docker save` would, byte for byte the same for the same content. */
import { createHash } from 'node:crypto';

export interface ImageFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}

export interface Image {
  readonly name: string;
  readonly files: readonly ImageFile[];
  readonly entrypoint: readonly string[];
  readonly user?: string;
}

export function dockerArchive(image: Image): Buffer {
  const layer = tar(image.files);
  const layerDigest = sha256(layer);
  const config = Buffer.from(
    JSON.stringify({
      architecture: architectures[process.arch] ?? process.arch,
      os: 'linux',
      config: { Entrypoint: image.entrypoint, ...(image.user === undefined ? {} : { User: image.user }) },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layerDigest}`] },
    }),
  );
  const configName = `${sha256(config)}.json`;
  const manifest = [{ Config: configName, RepoTags: [image.name], Layers: [`${layerDigest}.tar`] }];
  return tar([
    { path: configName, content: config, mode: 0o644 },
    { path: `${layerDigest}.tar`, content: layer, mode: 0o644 },
    { path: 'manifest.json', content: Buffer.from(JSON.stringify(manifest)), mode: 0o644 },
  ]);
}

const architectures: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', arm64: 'arm64' };
const blockBytes = 512;

/** A POSIX ustar archive, owned by root and without times. */
export function tar(files: readonly ImageFile[]): Buffer {
  const blocks = files.flatMap((file) => [header(file), file.content, Buffer.alloc(padding(file.content.byteLength))]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

function header(file: ImageFile): Buffer {
  if (Buffer.byteLength(file.path) > 100) throw new Error(`Path too long for a plain tar header: ${file.path}`);
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  block.write(file.path, 0);
  block.write(octal(file.mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(file.content.byteLength, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148); // the checksum counts itself as spaces
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return block;
}

const padding = (length: number): number => (blockBytes - (length % blockBytes)) % blockBytes;
const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
