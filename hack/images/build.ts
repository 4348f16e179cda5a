// The images of Mainstay, built from their Dockerfiles and kept by content.
import { cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { buildImage } from './buildah.ts';
import { cacheFolder, digest, makeFile, removeOlder, sizeOf, withWorkFolder } from './cache.ts';
import { debianBase, downloadsOf, installTools, type Suite } from './debian.ts';
import { mainstayFiles } from './mainstay/files.ts';
import { etcdFiles } from './etcd/files.ts';
import { megabytes, progress, type Progress } from './progress.ts';

export const imageKinds = ['postgres', 'etcd', 'mainstay'] as const;
export type ImageKind = (typeof imageKinds)[number];

export interface BuiltImage {
  readonly name: string;
  /** A docker-archive: `ctr images import`, `docker load` and `podman load` take it. */
  readonly tar: string;
  readonly bytes: number;
}

export interface BuildOptions {
  readonly signal?: AbortSignal;
  /** Fresh bases and fresh packages, even if nothing has changed here. */
  readonly refresh?: boolean;
}

interface Recipe {
  readonly name: string;
  /** Nothing: the Dockerfile starts from scratch. */
  readonly suite?: Suite;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** What COPY finds: name in the build context → file. */
  readonly files: (progress: Progress, signal: AbortSignal) => Promise<ReadonlyMap<string, string>>;
}

const noFiles = (): Promise<ReadonlyMap<string, string>> => Promise.resolve(new Map());

const recipes: Readonly<Record<ImageKind, Recipe>> = {
  postgres: {
    name: 'mainstay.dev/postgres:18',
    suite: { name: 'forky', released: false },
    buildArgs: { PG_MAJOR: '18' },
    files: noFiles,
  },
  etcd: { name: 'mainstay.dev/etcd:3.6', buildArgs: {}, files: etcdFiles },
  mainstay: {
    name: 'mainstay.dev/mainstay:dev',
    suite: { name: 'trixie', released: true },
    buildArgs: {},
    files: mainstayFiles,
  },
};

const folder = import.meta.dirname;

/** The time written into files and images: without one, two builds of the same content would differ. 2025-01-01. */
const sourceDateEpoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? 1_735_689_600);

/** Builds what is missing or out of date, one after another (each is bound by the disk). */
export async function buildImages(
  which: readonly ImageKind[],
  options: BuildOptions = {},
): Promise<readonly BuiltImage[]> {
  const signal = options.signal ?? new AbortController().signal;
  const built: BuiltImage[] = [];
  for (const kind of which) built.push(await build(kind, options.refresh ?? false, signal));
  return built;
}

async function build(kind: ImageKind, refresh: boolean, signal: AbortSignal): Promise<BuiltImage> {
  const recipe = recipes[kind];
  const report = progress(kind);
  const context = await stage(kind, await recipe.files(report, signal));
  const dockerfile = path.join(folder, kind, 'Dockerfile');
  const tools = new Map([
    ['buildah', 'buildah'],
    ['mmdebstrap', 'mmdebstrap'],
  ]);
  await installTools(tools, report, signal);
  const base =
    recipe.suite === undefined
      ? undefined
      : await debianBase(recipe.suite, { sourceDateEpoch, refresh, progress: report, signal });
  const key = await digest([
    recipe.name,
    JSON.stringify(recipe.buildArgs),
    String(sourceDateEpoch),
    base?.key ?? 'scratch',
    { file: dockerfile },
    ...context.files.map((file) => ({ file })),
  ]);
  const tar = path.join(cacheFolder, `${kind}-${key}.tar`);
  const present = await sizeOf(tar);
  if (present !== undefined && !refresh) {
    report.say(`${recipe.name} is up to date (${megabytes(present)})`);
    return { name: recipe.name, tar, bytes: present };
  }
  const mounts = recipe.suite === undefined ? {} : { [await downloadsOf(recipe.suite)]: '/var/cache/apt/archives' };
  await report.step(`building ${recipe.name}`, () =>
    withWorkFolder((work) =>
      makeFile(tar, (unfinished) =>
        buildImage(
          {
            dockerfile,
            context: context.folder,
            ...(base === undefined ? {} : { baseTar: base.tar }),
            buildArgs: recipe.buildArgs,
            mounts,
            name: recipe.name,
            sourceDateEpoch,
          },
          unfinished,
          work,
          signal,
        ),
      ),
    ),
  );
  await removeOlder(tar, `${kind}-`);
  const bytes = (await sizeOf(tar)) ?? 0;
  report.say(`${recipe.name}: ${megabytes(bytes)}`);
  return { name: recipe.name, tar, bytes };
}

/** Puts the files where `docker build` would look for them too. */
async function stage(
  kind: ImageKind,
  files: ReadonlyMap<string, string>,
): Promise<{ readonly folder: string; readonly files: readonly string[] }> {
  const context = path.join(folder, '../../build/images', kind);
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  const staged: string[] = [];
  for (const [name, file] of files) {
    await cp(file, path.join(context, name));
    staged.push(path.join(context, name));
  }
  return { folder: context, files: staged };
}
