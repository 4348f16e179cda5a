// The Node that runs Mainstay, and its two bundles.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { bundleProgram } from '../../build/bundle.ts';
import { step } from '../../cluster/progress.ts';

const repository = path.join(import.meta.dirname, '../../..');

/** The npm package `node` puts the binary that package-lock.json pins here. */
export const nodeBinary = (): Promise<string> => realpath(path.join(repository, 'node_modules/node/bin/node'));

/** What the image holds, by name. */
export async function mainstayFiles(): Promise<ReadonlyMap<string, string>> {
  const [operator, agent] = await step('Bundling operator and agent', () =>
    Promise.all([bundleProgram('operator'), bundleProgram('agent')]),
  );
  return new Map([
    ['node', await nodeBinary()],
    ['operator.mjs', operator.file],
    ['agent.mjs', agent.file],
  ]);
}
