import { expect, test } from '@jest/globals';
import { isAncestor, previousVersion } from './tree.ts';

test('the previous version is one of this one’s history', async () => {
  const { commit } = await previousVersion();
  expect(await isAncestor(commit)).toBe(true);
}, 300_000);
