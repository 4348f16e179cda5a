// node hack/build/main.ts: bundles the operator, the agent and the kubectl plugin into build/.
import path from 'node:path';
import process from 'node:process';
import { bundleProgram } from './bundle.ts';

try {
  for (const program of ['operator', 'agent', 'kubectl-mainstay'] as const) {
    const { file, bytes } = await bundleProgram(program);
    process.stdout.write(`${path.relative(process.cwd(), file)}\t${(bytes / 1_000_000).toFixed(2)} MB\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
