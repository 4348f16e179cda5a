import { expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheKey, type Recipe } from './artifacts.ts';

test('the key of a published module changes with version, flags and compiler', () => {
  const recipe: Recipe = { from: 'module', module: 'example.test/tool@v1.0.0', flags: ['-trimpath'] };
  const keys = [
    cacheKey(recipe, 'go1'),
    cacheKey({ ...recipe, module: 'example.test/tool@v1.0.1' }, 'go1'),
    cacheKey({ ...recipe, flags: [] }, 'go1'),
    cacheKey(recipe, 'go2'),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(cacheKey(recipe, 'go1\n')).toBe(keys[0]);
});

test('the key of a folder changes with every source and with nothing else in it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'artifacts-'));
  try {
    mkdirSync(join(folder, 'part'));
    const recipe: Recipe = { from: 'folder', folder, package: '.', flags: [] };
    const keys = ['main.go', 'go.mod', 'go.sum', 'part/main.go'].map((file) => {
      writeFileSync(join(folder, file), file);
      return cacheKey(recipe, 'go1');
    });
    expect(new Set(keys).size).toBe(keys.length);
    writeFileSync(join(folder, 'README.md'), 'changed');
    expect(cacheKey(recipe, 'go1')).toBe(keys.at(-1));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
