import { afterAll, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acceptedSettings, noteAccepted, noteTrial } from './accepted-settings.ts';
import { layout } from './layout.ts';

const folder = await mkdtemp(join(tmpdir(), 'mainstay-settings-'));
const where = layout(folder, '18');
await mkdir(where.configuration);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('starts that nobody lives to tell of are counted for the same settings, until one comes up', async () => {
  const well = { parameters: { shared_buffers: '128MB' } };
  const greedy = { parameters: { shared_buffers: '1TB' } };
  expect(await acceptedSettings(where)).toEqual({ parameters: {} });
  expect(await noteTrial(where, well)).toBe(0);
  await noteAccepted(where, well);
  expect(await acceptedSettings(where)).toEqual(well);
  expect([await noteTrial(where, greedy), await noteTrial(where, greedy), await noteTrial(where, greedy)]).toEqual([
    0, 1, 2,
  ]);
  expect(await noteTrial(where, { parameters: { shared_buffers: '2TB' } })).toBe(0);
  expect(await noteTrial(where, well)).toBe(0);
});
