// Builds a Dockerfile without a Docker engine: buildah with chroot isolation and plain copies as storage, in a storage
// of its own that is gone afterwards. Nothing of the machine's own images and containers is touched.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { run } from './command.ts';

export interface ImageBuild {
  readonly dockerfile: string;
  readonly context: string;
  /** A root file system to stand on, or nothing for the Dockerfile's own default (`scratch`). */
  readonly baseTar: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Folders of the machine to mount while RUN instructions run: host path → path inside. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly name: string;
  readonly sourceDateEpoch: number;
}

/** Writes the image as a docker-archive. `workFolder` must be empty, and may be removed at any time when nothing runs. */
export async function buildImage(
  build: ImageBuild,
  tar: string,
  workFolder: string,
  signal: AbortSignal,
): Promise<void> {
  const storage = ['--root', path.join(workFolder, 'root'), '--runroot', path.join(workFolder, 'run')];
  const temporary = path.join(workFolder, 'tmp');
  await mkdir(temporary, { recursive: true });
  const buildah = (...args: readonly string[]): Promise<string> =>
    run('buildah', [...storage, '--storage-driver', 'vfs', ...args], {
      signal,
      env: { BUILDAH_ISOLATION: 'chroot', TMPDIR: temporary },
    });
  const timestamp = ['--timestamp', String(build.sourceDateEpoch)];

  const buildArgs = { ...build.buildArgs };
  if (build.baseTar !== undefined) {
    const base = (await buildah('from', 'scratch')).trim();
    await buildah('add', base, build.baseTar, '/');
    await buildah(
      'commit',
      '--rm',
      '--quiet',
      '--disable-compression=true',
      ...timestamp,
      base,
      'localhost/base:local',
    );
    buildArgs['BASE'] = 'localhost/base:local';
  }
  await buildah(
    'bud',
    '--isolation=chroot',
    '--network=host',
    '--pull=false',
    '--layers=false',
    '--disable-compression=true',
    ...timestamp,
    ...Object.entries(buildArgs).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...Object.entries(build.mounts).map(([host, inside]) => `--volume=${host}:${inside}`),
    `--file=${build.dockerfile}`,
    `--tag=${build.name}`,
    build.context,
  );
  await buildah('push', '--quiet', build.name, `docker-archive:${tar}:${build.name}`);
}
