/** The database image as a folder: for tests that need real database processes and no Kubernetes. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ImageKind } from '../images/build.ts';
import { cacheFolder } from '../images/cache.ts';
import { whyNoContainer } from './container.ts';

const run = promisify(execFile);

/** `upgrade` holds the servers of both versions. */
type TestedImage = Extract<
  ImageKind,
  'postgres17' | 'postgres18' | 'upgrade' | 'mysql' | 'fence-agents' | 'side-by-side'
>;

export const testedVersion = process.env['MAINSTAY_TEST_POSTGRES'] === '17' ? '17' : '18';

/**
 * The root that tests run a database on, or why they can't. Throws instead where MAINSTAY_REQUIRE_DATABASES forbids to skip
 * them. Those of PostgreSQL run on the other version too: MAINSTAY_TEST_POSTGRES=17.
 */
export async function rootForTests(
  image: TestedImage = `postgres${testedVersion}`,
): Promise<
  { readonly root: string; readonly whyNot: undefined } | { readonly root: undefined; readonly whyNot: string }
> {
  const refused = whyNoContainer();
  const root = refused === undefined ? await databaseRoot(image) : undefined;
  if (root !== undefined) return { root, whyNot: undefined };
  const whyNot = refused ?? `no image ${image} has been built yet (make images)`;
  if (process.env['MAINSTAY_REQUIRE_DATABASES']) throw new Error(`These tests must not be skipped here: ${whyNot}`);
  return { root, whyNot };
}

/** Unpacked once per image; undefined if it has not been built (`make images`). */
export async function databaseRoot(image: TestedImage): Promise<string | undefined> {
  const archive = await newest(`${image}-`, '.tar');
  if (archive === undefined) return undefined;
  const name = path.basename(archive, '.tar');
  const root = path.join(cacheFolder, `root-${name}`);
  if (await exists(root)) return root;
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(path.join(cacheFolder, 'root-work-'));
  try {
    await run('tar', ['-xf', archive, '-C', work]);
    const [manifest] = JSON.parse(await readFile(path.join(work, 'manifest.json'), 'utf8')) as readonly [
      { readonly Layers: readonly string[] },
    ];
    const unpacked = path.join(work, 'root');
    await mkdir(unpacked);
    for (const layer of manifest.Layers) await unpack(path.join(work, layer), unpacked);
    // Whoever was faster has made the same.
    await rename(unpacked, root).catch(async (error: unknown) => {
      if (!(await exists(root))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return root;
}

/** A layer's `.wh.x` says that x of the layers below is gone. */
async function unpack(layer: string, root: string): Promise<void> {
  const { stdout } = await run('tar', ['-tf', layer], { maxBuffer: 64 * 1024 * 1024 });
  const marks = stdout.split('\n').filter((name) => path.basename(name).startsWith('.wh.'));
  for (const mark of marks)
    await rm(path.join(root, path.dirname(mark), path.basename(mark).slice('.wh.'.length)), {
      recursive: true,
      force: true,
    });
  await run('tar', ['-xf', layer, '-C', root, '--numeric-owner', '--exclude=.wh.*', '--exclude=dev/*']);
}

async function newest(prefix: string, suffix: string): Promise<string | undefined> {
  const names = (await readdir(cacheFolder).catch(() => [])).filter(
    (name) => name.startsWith(prefix) && name.endsWith(suffix),
  );
  const dated = await Promise.all(
    names.map(async (name) => {
      const file = path.join(cacheFolder, name);
      return { file, time: (await stat(file)).mtimeMs };
    }),
  );
  return dated.toSorted((a, b) => b.time - a.time)[0]?.file;
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );
