// The Node that runs Mainstay, its two bundles, and etcd.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { bundleProgram } from '../../build/bundle.ts';
import { step } from '../../cluster/progress.ts';
import { etcdFiles } from '../etcd/files.ts';

const repository = path.join(import.meta.dirname, '../../..');

/** What the image holds, by name. */
export async function mainstayFiles(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const etcd = (await etcdFiles(signal)).get('etcd');
  if (etcd === undefined) throw new Error('No etcd binary was built.');
  const [operator, agent] = await step('Bundling operator and agent', () =>
    Promise.all([bundleProgram('operator'), bundleProgram('agent')]),
  );
  return new Map([
    // The npm package `node` puts the binary that package-lock.json pins here.
    ['node', await realpath(path.join(repository, 'node_modules/node/bin/node'))],
    ['etcd', etcd],
    ['operator.mjs', operator.file],
    ['agent.mjs', agent.file],
  ]);
}
