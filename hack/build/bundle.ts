// One self-contained file per program, so that an image (or a Pod) needs Node and nothing from node_modules.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const repository = path.join(import.meta.dirname, '../..');

/** Dependencies in CommonJS call require(), which a module doesn't have. */
const requireForDependencies = [
  "import { createRequire as mainstayCreateRequire } from 'node:module';",
  'const require = mainstayCreateRequire(import.meta.url);',
].join('\n');

export interface Bundle {
  readonly file: string;
  readonly bytes: number;
}

/** Bundles `entry` with everything that it imports into `outfile`, whole or not at all. */
export async function bundle(entry: string, outfile: string): Promise<Bundle> {
  if (!existsSync(entry)) throw new Error(`${path.relative(repository, entry)} does not exist: nothing to bundle.`);
  const unfinished = `${outfile}.${process.pid}.part`;
  await mkdir(path.dirname(outfile), { recursive: true });
  try {
    await build({
      entryPoints: [entry],
      outfile: unfinished,
      absWorkingDir: repository,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      // Stack traces must name functions and lines that can be read; size doesn't matter here.
      minify: false,
      sourcemap: false,
      legalComments: 'eof',
      banner: { js: requireForDependencies },
      // The native driver is optional in pg, and not used.
      external: ['pg-native'],
      logLevel: 'warning',
    });
    await rename(unfinished, outfile);
  } finally {
    await rm(unfinished, { force: true });
  }
  return { file: outfile, bytes: (await stat(outfile)).size };
}

export type Program = 'operator' | 'agent';

const programs: Readonly<Record<Program, string>> = {
  operator: path.join(repository, 'operator/main.ts'),
  agent: path.join(repository, 'operator/agent/main.ts'),
};

/** build/operator.mjs or build/agent.mjs, always made anew: it takes less time than finding out whether it must be. */
export function bundleProgram(program: Program): Promise<Bundle> {
  return bundle(programs[program], path.join(repository, 'build', `${program}.mjs`));
}
