import type { EngineName } from '../api/cluster-state.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Engine } from './engine.ts';

/** Where an instance lives. */
export interface Place {
  readonly instance: string;
  readonly volume: string;
  /** Where the log of new data is to be; undefined: with the data. */
  readonly logVolume: string | undefined;
}

export interface InstalledEngine {
  /** File that every process of the database holds locked while it lives. */
  readonly lock: string;
  create(clock: Clock, log: Logger): Engine;
}

/** Imported when it is known which: what the other needs would cost ten megabytes beside each database. */
const engines: { readonly [Name in EngineName]: (place: Place) => Promise<InstalledEngine> } = {
  postgres: async ({ instance, volume, logVolume }) => {
    const [{ postgresEngine }, { layout: layoutOf, versionFor }] = await Promise.all([
      import('./postgres/engine.ts'),
      import('./postgres/layout.ts'),
    ]);
    const layout = layoutOf(volume, await versionFor(volume), { walVolume: logVolume });
    return { lock: layout.lock, create: (clock, log) => postgresEngine({ instance, layout, clock, log }) };
  },
  mysql: async ({ instance, volume }) => {
    const [{ mysqlEngine }, { layout: layoutOf }] = await Promise.all([
      import('./mysql/engine.ts'),
      import('./mysql/layout.ts'),
    ]);
    const layout = layoutOf(volume);
    return { lock: layout.lock, create: (clock, log) => mysqlEngine({ instance, layout, clock, log }) };
  },
};

export const installedEngine = (name: EngineName, place: Place): Promise<InstalledEngine> => engines[name](place);
