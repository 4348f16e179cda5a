import { expect, test } from '@jest/globals';
import { generatedFiles } from './generated-files.ts';
import { staleFiles } from './stale-files.ts';

test('generated files are fresh; else run `make generate`', async () => {
  expect(await staleFiles()).toEqual([]);
  // One of the pages is drawn from simulated runs.
}, 60_000);

test('each CRD stays far below what etcd, Helm and client-side apply take', () => {
  const definitions = [...generatedFiles()].filter(([name]) => name.startsWith('crds/'));
  expect(definitions.length).toBeGreaterThan(0);
  for (const [, content] of definitions) expect(Buffer.byteLength(content)).toBeLessThan(200_000);
});
