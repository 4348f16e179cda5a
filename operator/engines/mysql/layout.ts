import { join } from 'node:path';

/** Where things are on the instance's volume and in its container. */
export interface Layout {
  readonly mysqld: string;
  /** Data, binary logs and relay logs: they belong together, and are replaced together. */
  readonly data: string;
  /** A clone or an initialisation under way; becomes `data` by a rename. */
  readonly incoming: string;
  /** The data directory that a clone replaced, kept until the clone serves. */
  readonly former: string;
  /** Of the server that only receives a clone. */
  readonly scratch: string;
  /** What a tail cut took away, kept for people: one file each time. */
  readonly quarantine: string;
  /** What was last put there, in words. */
  readonly cutTail: string;
  readonly configuration: string;
  /** Present while the end of the binary log is being cut off, and until the server has proved that nothing of it is left. */
  readonly cutting: string;
  /** Which cluster's first data were made on this volume; beside the data, so that no copy has it. */
  readonly initialized: string;
  /** Held by the server through an inherited descriptor. */
  readonly lock: string;
  /** Sockets; not on the volume. */
  readonly run: string;
  readonly systemSecrets: string;
  /** Where the Secret with certificates is mounted (operator/api/tls-files.ts); empty where there is none. */
  readonly tlsSecrets: string;
}

export function layout(
  volume: string,
  { run = '/run/mainstay', secrets = '/etc/mainstay' }: { readonly run?: string; readonly secrets?: string } = {},
): Layout {
  return {
    mysqld: '/usr/sbin/mysqld',
    data: join(volume, 'mysql'),
    incoming: join(volume, 'mysql.incoming'),
    former: join(volume, 'mysql.former'),
    scratch: join(volume, 'mysql.scratch'),
    quarantine: join(volume, 'quarantine'),
    cutTail: join(volume, 'cut-tail'),
    configuration: join(volume, 'configuration'),
    cutting: join(volume, 'cutting'),
    initialized: join(volume, 'initialized'),
    lock: join(volume, 'lock'),
    run,
    systemSecrets: join(secrets, 'system'),
    tlsSecrets: join(secrets, 'tls'),
  };
}

export const configFile = (layout: Layout): string => join(layout.configuration, 'my.cnf');
export const socket = (layout: Layout): string => join(layout.run, 'mysqld.sock');
/** Written by us into the data directory: which cluster's data they are. */
export const systemFile = (data: string): string => join(data, 'mainstay-system');
export const isBinaryLog = (name: string): boolean => /^binlog\.\d{6,}$/.test(name);
