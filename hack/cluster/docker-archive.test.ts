import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dockerArchive, tar } from './docker-archive.ts';

const hello = { path: 'bin/hello', content: Buffer.from('hello\n'), mode: 0o755 };

describe('tar', () => {
  test('what the system’s tar reads back: name, mode, owner and content', () => {
    inFolder((folder) => {
      writeFileSync(join(folder, 'a.tar'), tar([hello, { path: 'empty', content: Buffer.alloc(0), mode: 0o600 }]));
      const listed = execFileSync('tar', ['--numeric-owner', '-tvf', 'a.tar'], { cwd: folder, encoding: 'utf8' });
      expect(listed).toMatch(/^-rwxr-xr-x 0\/0 +6 .* bin\/hello\n-rw------- 0\/0 +0 .* empty\n$/);
      expect(execFileSync('tar', ['-xOf', 'a.tar', 'bin/hello'], { cwd: folder, encoding: 'utf8' })).toBe('hello\n');
    });
  });

  test('a path that a plain header can’t hold is refused', () => {
    expect(() => tar([{ ...hello, path: 'x'.repeat(101) }])).toThrow('too long');
  });
});

describe('dockerArchive', () => {
  const image = { name: 'example.test/hello:1', files: [hello], entrypoint: ['/bin/hello'], user: '1:1' };

  test('the manifest leads to a config whose diff id is the digest of the layer', () => {
    inFolder((folder) => {
      writeFileSync(join(folder, 'a.tar'), dockerArchive(image));
      execFileSync('tar', ['-xf', 'a.tar'], { cwd: folder });
      const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
      const [manifest] = read('manifest.json') as [{ Config: string; RepoTags: string[]; Layers: [string] }];
      const layer = createHash('sha256')
        .update(readFileSync(join(folder, manifest.Layers[0])))
        .digest('hex');
      expect(manifest.RepoTags).toEqual(['example.test/hello:1']);
      expect(read(manifest.Config)).toMatchObject({
        config: { Entrypoint: ['/bin/hello'], User: '1:1' },
        rootfs: { diff_ids: [`sha256:${layer}`] },
      });
    });
  });

  test('the same content gives the same bytes', () => {
    expect(dockerArchive(image).equals(dockerArchive(image))).toBe(true);
  });
});

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'docker-archive-'));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
