/** `node hack/generate/main.ts` writes CRDs and reference pages; `--check` only names the stale ones and fails. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generatedFiles } from './generated-files.ts';
import { repositoryRoot, staleFiles } from './stale-files.ts';

const stale = await staleFiles();
if (process.argv.includes('--check')) {
  for (const name of stale) console.error(`stale: ${name}`);
  if (stale.length > 0) {
    console.error('Run `make generate` and commit the result.');
    process.exitCode = 1;
  }
} else {
  const files = generatedFiles();
  for (const name of stale) {
    const file = path.join(repositoryRoot, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, files.get(name) ?? '');
    console.log(`generated ${name}`);
  }
  if (stale.length === 0) console.log(`generate: ${files.size} files are up to date`);
}
