import type { EngineName } from '../api/cluster-state.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Engine } from './engine.ts';
import { mysqlEngine } from './mysql/engine.ts';
import { layout as mysqlLayout } from './mysql/layout.ts';
import { postgresEngine } from './postgres/engine.ts';
import { layout as postgresLayout, versionFor } from './postgres/layout.ts';

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

const engines: { readonly [Name in EngineName]: (place: Place) => Promise<InstalledEngine> } = {
  postgres: async ({ instance, volume, logVolume }) => {
    const layout = postgresLayout(volume, await versionFor(volume), { walVolume: logVolume });
    return { lock: layout.lock, create: (clock, log) => postgresEngine({ instance, layout, clock, log }) };
  },
  mysql: ({ instance, volume }) => {
    const layout = mysqlLayout(volume);
    return Promise.resolve({
      lock: layout.lock,
      create: (clock, log) => mysqlEngine({ instance, layout, clock, log }),
    });
  },
};

export const installedEngine = (name: EngineName, place: Place): Promise<InstalledEngine> => engines[name](place);
