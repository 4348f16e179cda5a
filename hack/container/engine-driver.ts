/** Runs an engine inside a test's container: effects come in as lines of JSON, what happens goes out as such. */
import { randomBytes } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import type {
  Definition,
  Epoch,
  Finding,
  HistoryEntry,
  InstanceName,
  Position,
  Voter,
} from '../../operator/api/cluster-state.ts';
import type { CopyProgress, Engine, EngineContext, Observation } from '../../operator/engines/engine.ts';
import { mysqlEngine } from '../../operator/engines/mysql/engine.ts';
import { layout as mysqlLayout } from '../../operator/engines/mysql/layout.ts';
import { postgresEngine } from '../../operator/engines/postgres/engine.ts';
import { layout as postgresLayout, versionFor } from '../../operator/engines/postgres/layout.ts';
import type { DatabaseEffect, DatabaseState, Health } from '../../operator/ha/state.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import { MainstayError } from '../../operator/platform/errors.ts';

/** Of the cluster that the instance is in. */
export interface DriverOptions {
  readonly engine: 'postgres' | 'mysql';
  readonly instance: string;
  readonly incarnation: string;
  readonly walVolume?: string;
  readonly definition: Partial<Definition>;
  /** Files for `bootstrap.postInitSql`. */
  readonly sql: Readonly<Record<string, string>>;
}

/** What an instance is told of the cluster, as JSON: maps are lists of pairs. */
export interface TestContext {
  readonly definition?: Partial<Definition>;
  readonly history?: readonly (readonly [Epoch, HistoryEntry])[];
  readonly positions?: readonly (readonly [InstanceName, Position])[];
  readonly declaration?: string;
  readonly sync?: readonly Voter[];
}

export type Request = { readonly id: number; readonly context?: TestContext } & (
  | { readonly effect: DatabaseEffect; readonly limit?: number }
  | { readonly inspect: true; readonly limit?: number }
  | { readonly observe: true }
  | { readonly declare: string; readonly lacking: readonly string[] }
  | { readonly configure: true; readonly limit?: number }
);

export interface Answer {
  readonly id: number;
  readonly state: DatabaseState;
  readonly observation?: Observation;
  readonly standing: ReturnType<Engine['standing']>;
  readonly error?: string;
  /** The engine says that the same may go better another time. */
  readonly retryable?: boolean;
  readonly findings?: readonly Finding[];
}

export type Report =
  | { readonly ready: true }
  | Answer
  | { readonly health: Health; readonly at: number }
  | { readonly changed: DatabaseState }
  | { readonly copied: CopyProgress }
  | { readonly incarnation: string };

const tell = (report: Report): void => void process.stdout.write(`${JSON.stringify(report)}\n`);

const secrets = '/tmp/secrets';
for (const [file, text] of [
  ['system/replication-password', 'replication'],
  ['system/rewind-password', 'rewind'],
  ['system/clone-password', 'clone'],
] as const) {
  await mkdir(`${secrets}/${file.split('/')[0] ?? ''}`, { recursive: true });
  await writeFile(`${secrets}/${file}`, text);
}
// What the test lays there counts as mounted.
await symlink('/var/lib/mainstay/tls', `${secrets}/tls`);
await mkdir('/run/mainstay', { recursive: true });

const options = JSON.parse(process.argv[2] ?? '{}') as DriverOptions;
const volume = '/var/lib/mainstay';
const version = options.engine === 'postgres' ? await versionFor(volume) : '9.7';
await mkdir(`${secrets}/init`, { recursive: true });
for (const [file, text] of Object.entries(options.sql)) await writeFile(`${secrets}/init/${file}`, text);
const initial: EngineContext = {
  definition: {
    generation: 1,
    engine: 'postgres',
    version,
    instances: [options.instance],
    durability: { mode: 'Preferred', acknowledgements: 1 },
    parameters: {},
    application: { database: 'app', owner: 'app' },
    paused: false,
    ...options.definition,
  },
  history: new Map(),
  incarnation: options.incarnation,
  positions: new Map(),
};
const parts = {
  instance: options.instance,
  clock: systemClock,
  log: pino({ level: process.env['LOG_LEVEL'] ?? 'warn' }, pino.destination({ fd: 2, sync: true })),
};
const places = { run: '/run/mainstay', secrets };
const engine =
  options.engine === 'postgres'
    ? postgresEngine({ ...parts, layout: postgresLayout(volume, version, { ...places, walVolume: options.walVolume }) })
    : mysqlEngine({ ...parts, layout: mysqlLayout(volume, places) });
let incarnation = options.incarnation;
engine.onNewIncarnation(() => {
  incarnation = randomBytes(4).toString('hex');
  tell({ incarnation });
  return Promise.resolve();
});
engine.onHealth((health) => tell({ health, at: systemClock.now() }));
engine.onChange((changed) => tell({ changed }));
// As an agent publishes it.
setInterval(() => {
  const copied = engine.copyProgress();
  if (copied) tell({ copied });
}, 200);

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request;
  const { id } = request;
  const told = request.context;
  const context: EngineContext = {
    ...initial,
    definition: { ...initial.definition, ...told?.definition },
    incarnation,
    history: new Map(told?.history),
    positions: new Map(told?.positions),
    ...(told?.sync && { sync: told.sync }),
    ...(told?.declaration !== undefined && { declaration: told.declaration }),
  };
  const work = async (): Promise<Pick<Answer, 'observation' | 'findings'>> => {
    if ('observe' in request) {
      await engine.configure(context.definition, AbortSignal.timeout(5000));
      return { observation: await engine.observe(context, AbortSignal.timeout(5000)) };
    }
    if ('declare' in request)
      return {
        findings: await engine.declare(request.declare, () => request.lacking, AbortSignal.timeout(60_000)),
      };
    const limit = AbortSignal.timeout(request.limit ?? 60_000);
    if ('inspect' in request) await engine.inspect();
    else if ('configure' in request) await engine.configure(context.definition, limit);
    else if (request.effect.type === 'kill') await engine.kill(limit);
    else await engine.run(request.effect, context, limit);
    return {};
  };
  void work().then(
    (told) => tell({ id, state: engine.state(), standing: engine.standing(), ...told }),
    (error: unknown) =>
      tell({
        id,
        state: engine.state(),
        standing: engine.standing(),
        error: String(error),
        retryable: error instanceof MainstayError && error.retryable,
      }),
  );
});
tell({ ready: true });
