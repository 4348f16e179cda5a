// The images of Mainstay, built from their Dockerfiles and kept by content.
import { cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { withLock } from '../cluster/lock.ts';
import { say, step } from '../cluster/progress.ts';
import { buildImage } from './buildah.ts';
import { cacheFolder, digest, makeFile, removeOlder, sizeOf, withWorkFolder } from './cache.ts';
import { debianBase, downloadsOf, installTools, refreshPackages, type Suite } from './debian.ts';
import { etcdFiles } from './etcd/files.ts';
import { mainstayFiles } from './mainstay/files.ts';
import { previousFiles } from './previous/files.ts';

/** What the local cluster runs. */
export const usualImages = ['postgres18', 'postgres17', 'upgrade', 'mysql', 'etcd', 'mainstay'] as const;
/** With what is built only when it is asked for: `previous` is the mainstay image of the version before this one, `side-by-side` what hack/bench/side-by-side runs. */
export const imageKinds = [...usualImages, 'fence-agents', 'previous', 'side-by-side'] as const;
export type ImageKind = (typeof imageKinds)[number];

export interface BuiltImage {
  readonly name: string;
  /** A docker-archive, named after what is in it: `ctr images import`, `docker load` and `podman load` take it. */
  readonly tar: string;
  readonly bytes: number;
}

export interface BuildOptions {
  readonly signal?: AbortSignal;
  /** Debian's packages of today, even if nothing has changed here. */
  readonly refresh?: boolean;
}

interface Recipe {
  readonly name: string;
  /** Folder of the Dockerfile. */
  readonly folder: string;
  /** Without one the Dockerfile starts from scratch. */
  readonly suite?: Suite;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** What COPY finds: name in the build context → file. */
  readonly files: (signal: AbortSignal) => Promise<ReadonlyMap<string, string>>;
}

const forky = { name: 'forky', released: false } as const;
const sid = { name: 'sid', released: false } as const;
const trixie = { name: 'trixie', released: true } as const;
const nothing = (): Promise<ReadonlyMap<string, string>> => Promise.resolve(new Map());

const recipes: Readonly<Record<ImageKind, Recipe>> = {
  postgres18: {
    name: 'mainstay.dev/postgres:18',
    folder: 'postgres',
    suite: forky,
    buildArgs: { PG_MAJOR: '18' },
    files: nothing,
  },
  postgres17: {
    name: 'mainstay.dev/postgres:17',
    folder: 'postgres',
    suite: trixie,
    buildArgs: { PG_MAJOR: '17' },
    files: nothing,
  },
  upgrade: {
    name: 'mainstay.dev/postgres-upgrade:18',
    folder: 'postgres',
    suite: forky,
    buildArgs: { PG_MAJOR: '18', FORMER_MAJOR: '17', FORMER_SUITE: 'trixie' },
    files: nothing,
  },
  'side-by-side': {
    name: 'mainstay.dev/side-by-side:18',
    folder: 'side-by-side',
    suite: sid,
    buildArgs: { PG_MAJOR: '18' },
    files: nothing,
  },
  mysql: { name: 'mainstay.dev/mysql:9.7', folder: 'mysql', suite: sid, buildArgs: {}, files: nothing },
  etcd: { name: 'mainstay.dev/etcd:3.6', folder: 'etcd', buildArgs: {}, files: etcdFiles },
  mainstay: {
    name: 'mainstay.dev/mainstay:dev',
    folder: 'mainstay',
    suite: trixie,
    buildArgs: {},
    files: mainstayFiles,
  },
  'fence-agents': {
    name: 'mainstay.dev/fence-agents:4',
    folder: 'fence-agents',
    suite: trixie,
    buildArgs: {},
    files: nothing,
  },
  previous: {
    name: 'mainstay.dev/mainstay:previous',
    folder: 'mainstay',
    suite: trixie,
    buildArgs: {},
    files: previousFiles,
  },
};

/** The time written into files and images: with the present one, two builds of the same would differ. 2025-01-01. */
const sourceDateEpoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? 1_735_689_600);

/** Builds what is missing or out of date, one after another: they are bound by the disk. */
export async function buildImages(
  which: readonly ImageKind[],
  options: BuildOptions = {},
): Promise<readonly BuiltImage[]> {
  const signal = options.signal ?? new AbortController().signal;
  // Builds share Debian's downloads, which apt locks; whoever comes second waits, and finds everything done.
  const lock = path.join(cacheFolder, 'lock');
  return withLock(lock, () => buildOneByOne(which, options.refresh ?? false, signal), { wait: true, signal });
}

/** Fills build/images/<kind> with what the Dockerfile copies, for those who go on with `docker build`. */
export async function stageContext(kind: ImageKind, signal: AbortSignal): Promise<Context> {
  const files = await recipes[kind].files(signal);
  const folder = path.join(import.meta.dirname, '../../build/images', kind);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, file] of files) await cp(file, path.join(folder, name));
  return { folder, files: [...files.keys()].map((name) => path.join(folder, name)) };
}

export interface Context {
  readonly folder: string;
  readonly files: readonly string[];
}

async function buildOneByOne(
  which: readonly ImageKind[],
  refresh: boolean,
  signal: AbortSignal,
): Promise<readonly BuiltImage[]> {
  if (refresh) await refreshPackages();
  const built: BuiltImage[] = [];
  for (const kind of which) built.push(await build(kind, signal));
  return built;
}

async function build(kind: ImageKind, signal: AbortSignal): Promise<BuiltImage> {
  const { name, folder, suite, buildArgs } = recipes[kind];
  const context = await stageContext(kind, signal);
  const dockerfile = path.join(import.meta.dirname, folder, 'Dockerfile');
  await installTools(['buildah', 'mmdebstrap'], signal);
  const base = suite === undefined ? undefined : await debianBase(suite, sourceDateEpoch, signal);
  const key = await digest([
    name,
    JSON.stringify(buildArgs),
    String(sourceDateEpoch),
    base?.key ?? 'scratch',
    ...[dockerfile, ...context.files].map((file) => ({ file })),
  ]);
  const tar = path.join(cacheFolder, `${kind}-${key}.tar`);
  if ((await sizeOf(tar)) === undefined) {
    const mounts = suite === undefined ? {} : { [await downloadsOf(suite)]: '/var/cache/apt/archives' };
    const request = {
      name,
      dockerfile,
      context: context.folder,
      baseTar: base?.tar,
      buildArgs,
      mounts,
      sourceDateEpoch,
    };
    await step(`Building ${name}`, () =>
      withWorkFolder((work) => makeFile(tar, (unfinished) => buildImage(request, unfinished, work, signal))),
    );
    await removeOlder(tar, `${kind}-`);
  }
  const bytes = (await sizeOf(tar)) ?? 0;
  say(`${name} is ready: ${(bytes / 1_000_000).toFixed(1)} MB`);
  return { name, tar, bytes };
}
