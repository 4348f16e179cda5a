import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { generatedFiles } from './generated-files.ts';

export const repositoryRoot = path.resolve(import.meta.dirname, '../..');

/** Paths of generated files that are missing or differ from what the sources give now. */
export async function staleFiles(): Promise<readonly string[]> {
  const fresh = await Promise.all(
    [...generatedFiles()].map(async ([name, content]) => ({
      name,
      stale: (await readFile(path.join(repositoryRoot, name), 'utf8').catch(() => undefined)) !== content,
    })),
  );
  return fresh.filter(({ stale }) => stale).map(({ name }) => name);
}
