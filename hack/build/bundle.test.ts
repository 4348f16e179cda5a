import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { bundle } from './bundle.ts';

const repository = path.join(import.meta.dirname, '../..');

test('the bundle runs where there is no node_modules', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-bundle-'));
  try {
    const entry = path.join(folder, 'entry.ts');
    const dependency = (file: string): string => JSON.stringify(path.join(repository, file));
    await writeFile(
      entry,
      `import pg from ${dependency('node_modules/pg/esm/index.mjs')};
       import { createLogger } from ${dependency('operator/platform/log.ts')};
       const answer: string = typeof pg.Client;
       createLogger('bundle').info(answer);`,
    );
    const { file, bytes } = await bundle(entry, path.join(folder, 'out/program.mjs'));
    expect(bytes).toBeGreaterThan(10_000);
    expect(await readdir(path.dirname(file))).toEqual(['program.mjs']);
    const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ component: 'bundle', msg: 'function' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('says which entry is missing', async () => {
  await expect(bundle(path.join(repository, 'operator/nothing.ts'), '/nowhere')).rejects.toThrow(
    'operator/nothing.ts does not exist: nothing to bundle.',
  );
});
