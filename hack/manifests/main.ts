/** `node hack/manifests/main.ts` renders manifests/mainstay.yaml; `--check` only says whether it is stale, and fails then. */
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { manifestFile, renderedManifests } from './rendered.ts';

const wanted = await renderedManifests(new AbortController().signal);
const found = await readFile(manifestFile, 'utf8').catch(() => undefined);
if (found === wanted) process.stdout.write('manifests/mainstay.yaml is up to date\n');
else if (process.argv.includes('--check')) {
  process.stderr.write('stale: manifests/mainstay.yaml. Run `make manifests` and commit the result.\n');
  process.exitCode = 1;
} else {
  await writeFile(manifestFile, wanted);
  process.stdout.write('rendered manifests/mainstay.yaml\n');
}
