// The Node that runs Mainstay, and its two bundles.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { bundleProgram } from '../../build/bundle.ts';
import { step } from '../../cluster/progress.ts';

const repository = path.join(import.meta.dirname, '../../..');

/** What the image holds, by name. */
export async function mainstayFiles(): Promise<ReadonlyMap<string, string>> {
  const [operator, agent] = await step('Bundling operator and agent', () =>
    Promise.all([bundleProgram('operator'), bundleProgram('agent')]),
  );
  return new Map([
    // The npm package `node` puts the binary that package-lock.json pins here.
    ['node', await realpath(path.join(repository, 'node_modules/node/bin/node'))],
    ['operator.mjs', operator.file],
    ['agent.mjs', agent.file],
  ]);
}
