// etcd and etcdctl as static binaries, from the Go modules that hack/cluster/etcd pins.
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { step } from '../../cluster/progress.ts';
import { cacheFolder, digest, sizeOf } from '../cache.ts';
import { run } from '../command.ts';

const moduleFolder = path.join(import.meta.dirname, '../../cluster/etcd');
const programs: ReadonlyMap<string, string> = new Map([
  ['etcd', 'go.etcd.io/etcd/server/v3'],
  ['etcdctl', 'go.etcd.io/etcd/etcdctl/v3'],
]);
const flags = ['-trimpath', '-ldflags=-s -w'];

/** What the image holds, by name; built once per state of go.mod. */
export async function etcdFiles(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const go = await run('go', ['version'], { signal, cwd: moduleFolder });
  const inputs = [{ file: path.join(moduleFolder, 'go.mod') }, { file: path.join(moduleFolder, 'go.sum') }];
  const key = await digest([go, ...flags, ...inputs]);
  const folder = path.join(cacheFolder, `etcd-binaries-${key}`);
  if ((await sizeOf(folder)) === undefined) {
    await step('Compiling etcd and etcdctl', async () => {
      const unfinished = `${folder}.${process.pid}.part`;
      try {
        await mkdir(unfinished, { recursive: true });
        for (const [program, module] of programs) {
          const output = path.join(unfinished, program);
          await run('go', ['build', ...flags, '-o', output, module], {
            signal,
            cwd: moduleFolder,
            env: { CGO_ENABLED: '0' },
          });
        }
        await rename(unfinished, folder);
      } finally {
        await rm(unfinished, { recursive: true, force: true });
      }
    });
  }
  return new Map([...programs.keys()].map((program) => [program, path.join(folder, program)]));
}
