import { join } from 'node:path';

/** Where things are on the instance's volume and in its container. */
export interface Layout {
  /** Folder with postgres, initdb, pg_rewind … */
  readonly bin: string;
  readonly data: string;
  /** A clone or an initdb under way; becomes `data` by a rename. */
  readonly incoming: string;
  /** The data directory that a clone replaced, kept until the clone serves. */
  readonly former: string;
  /** Files that must not decide anything, kept in case they are wanted. */
  readonly quarantine: string;
  readonly configuration: string;
  /** Present while pg_rewind rewrites `data`: an interrupted one leaves no mark of its own (pg-lab.md §7). */
  readonly rewinding: string;
  /** Held by every process of the database through an inherited descriptor. */
  readonly lock: string;
  /** Unix socket and password file; not on the volume. */
  readonly run: string;
  readonly systemSecrets: string;
  readonly applicationSecrets: string;
}

export function layout(volume: string, version: string, run = '/run/mainstay', secrets = '/etc/mainstay'): Layout {
  return {
    bin: `/usr/lib/postgresql/${version}/bin`,
    data: join(volume, 'pgdata'),
    incoming: join(volume, 'pgdata.incoming'),
    former: join(volume, 'pgdata.former'),
    quarantine: join(volume, 'quarantine'),
    configuration: join(volume, 'configuration'),
    rewinding: join(volume, 'rewinding'),
    lock: join(volume, 'lock'),
    run,
    systemSecrets: join(secrets, 'system'),
    applicationSecrets: join(secrets, 'app'),
  };
}

export const walDirectory = (data: string): string => join(data, 'pg_wal');
