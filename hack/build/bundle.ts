// One self-contained file per program, so that an image (or a Pod) needs Node and nothing from node_modules.
import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, rm, stat } from 'node:fs/promises';
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

/** Bundles `entry` with everything that it imports into `outfile`, whole or not at all. `executable`: a program by itself. */
export async function bundle(entry: string, outfile: string, { executable = false } = {}): Promise<Bundle> {
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
      // Node keeps the text of a program in memory, twice. Names stay, and lines stay short, for who reads a stack trace.
      minifyWhitespace: true,
      lineLimit: 160,
      sourcemap: false,
      legalComments: 'eof',
      banner: { js: [...(executable ? ['#!/usr/bin/env node'] : []), requireForDependencies].join('\n') },
      // The native driver is optional in pg, and not used.
      external: ['pg-native'],
      logLevel: 'warning',
    });
    if (executable) await chmod(unfinished, 0o755);
    await rename(unfinished, outfile);
  } finally {
    await rm(unfinished, { force: true });
  }
  return { file: outfile, bytes: (await stat(outfile)).size };
}

export type Program = 'operator' | 'agent' | 'kubectl-mainstay';

const programs: Readonly<Record<Program, { readonly entry: string; readonly file: string }>> = {
  operator: { entry: 'operator/main.ts', file: 'operator.mjs' },
  agent: { entry: 'operator/agent/main.ts', file: 'agent.mjs' },
  // kubectl finds plugins by this very name.
  'kubectl-mainstay': { entry: 'operator/cli/main.ts', file: 'kubectl-mainstay' },
};

/** build/operator.mjs and so on, always made anew: it takes less time than finding out whether it must be. */
export function bundleProgram(program: Program): Promise<Bundle> {
  const { entry, file } = programs[program];
  const executable = program === 'kubectl-mainstay';
  return bundle(path.join(repository, entry), path.join(repository, 'build', file), { executable });
}
