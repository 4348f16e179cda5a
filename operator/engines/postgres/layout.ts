import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MainstayError } from '../../platform/errors.ts';

/** Where things are on the instance's volume and in its container. */
export interface Layout {
  /** Major version whose programs are used: that of the data. */
  readonly version: string;
  /** Folder with postgres, initdb, pg_rewind … */
  readonly bin: string;
  readonly data: string;
  /** Another volume, for the write-ahead log of data made from now on; undefined: it is in the data directory. */
  readonly walVolume: string | undefined;
  /** A clone or an initdb under way; becomes `data` by a rename. */
  readonly incoming: string;
  /** Data of the next major version, before they replace `data`. */
  readonly upgraded: string;
  /** Data of a former major version, which an upgrade has replaced. */
  readonly outgrown: (version: string) => string;
  /** The data directory that a clone replaced, kept until the clone serves. */
  readonly former: string;
  /** Files that must not decide anything, kept in case they are wanted. */
  readonly quarantine: string;
  readonly configuration: string;
  /** Present from a finished rewind until the server has been consistent once: its WAL ends before its data does. */
  readonly rewound: string;
  /** Present while pg_rewind rewrites `data`: an interrupted one leaves no mark of its own (pg-lab.md §7). */
  readonly rewinding: string;
  /** Written when data was replaced because it was damaged. */
  readonly repaired: string;
  /** Held by every process of the database through an inherited descriptor. */
  readonly lock: string;
  /** Names the data that were made on this volume. */
  readonly initialized: string;
  /** Unix socket and password file; not on the volume. */
  readonly run: string;
  readonly systemSecrets: string;
  /** Where the Secret with certificates is mounted (operator/api/tls-files.ts); empty where there is none. */
  readonly tlsSecrets: string;
  /** SQL to run once the first data are made. */
  readonly postInitSql: string;
}

const installed = '/usr/lib/postgresql';
const programs = (version: string): string => `${installed}/${version}/bin`;

/** Major versions in the image, highest first: one, or those between which it can upgrade. */
export async function installedVersions(): Promise<readonly string[]> {
  const versions = (await readdir(installed))
    .filter((name) => /^\d+$/.test(name))
    .toSorted((a, b) => Number(b) - Number(a));
  if (versions.length === 0)
    throw new MainstayError(
      'ConfigurationInvalid',
      `No PostgreSQL in ${installed}: the image must hold Debian's layout.`,
    );
  return versions;
}

/** That of the data on the volume; of a volume without data, the highest that there is. */
export async function versionFor(volume: string): Promise<string> {
  const versions = await installedVersions();
  const version = (await versionOfData(join(volume, 'pgdata'))) ?? versions[0] ?? '';
  if (!versions.includes(version))
    throw new MainstayError(
      'ConfigurationInvalid',
      `The volume holds data of PostgreSQL ${version}, and the image has ${versions.join(', ')}: set spec.image to one that has ${version}.`,
    );
  return version;
}

/** Undefined where there is no data. */
export async function versionOfData(data: string): Promise<string | undefined> {
  return (await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined))?.trim();
}

export function layout(
  volume: string,
  version: string,
  {
    run = '/run/mainstay',
    secrets = '/etc/mainstay',
    walVolume,
  }: { readonly run?: string; readonly secrets?: string; readonly walVolume?: string | undefined } = {},
): Layout {
  return {
    version,
    bin: programs(version),
    data: join(volume, 'pgdata'),
    walVolume,
    incoming: join(volume, 'pgdata.incoming'),
    upgraded: join(volume, 'pgdata.upgraded'),
    outgrown: (former) => join(volume, `pgdata.${former}`),
    former: join(volume, 'pgdata.former'),
    quarantine: join(volume, 'quarantine'),
    configuration: join(volume, 'configuration'),
    rewinding: join(volume, 'rewinding'),
    rewound: join(volume, 'rewound'),
    repaired: join(volume, 'repaired'),
    initialized: join(volume, 'initialized'),
    lock: join(volume, 'lock'),
    run,
    systemSecrets: join(secrets, 'system'),
    tlsSecrets: join(secrets, 'tls'),
    postInitSql: join(secrets, 'init'),
  };
}

/** The same volume under another major version's programs. */
export const withVersion = (of: Layout, version: string): Layout => ({ ...of, version, bin: programs(version) });

export const isWalFile = (name: string): boolean => /^[0-9A-F]{24}$/.test(name);
export const walDirectory = (data: string): string => join(data, 'pg_wal');

/** Where a new data directory's log is to be, if not inside: each has its own, since the old one stays for a while. */
export const newWalDirectory = ({ walVolume }: Layout): string | undefined =>
  walVolume === undefined ? undefined : join(walVolume, `wal-${randomBytes(4).toString('hex')}`);

export const isWalOfData = (name: string): boolean => /^wal-[0-9a-f]{8}$/.test(name);
