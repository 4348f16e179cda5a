/** Runs the PostgreSQL engine inside a test's container: effects come in as lines of JSON, what happens goes out as such. */
import { mkdir, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import type { Definition } from '../../operator/api/cluster-state.ts';
import type { EngineContext } from '../../operator/engines/engine.ts';
import { postgresEngine } from '../../operator/engines/postgres/engine.ts';
import { installedVersion, layout } from '../../operator/engines/postgres/layout.ts';
import type { DatabaseEffect, DatabaseState, Health } from '../../operator/ha/state.ts';
import { systemClock } from '../../operator/platform/clock.ts';

export type Request =
  | { readonly id: number; readonly effect: DatabaseEffect; readonly limit?: number }
  | { readonly id: number; readonly inspect: true }
  | { readonly id: number; readonly observe: true };

export interface Answer {
  readonly id: number;
  readonly state: DatabaseState;
  readonly error?: string;
}

export type Report =
  | { readonly ready: true }
  | Answer
  | { readonly health: Health; readonly at: number }
  | { readonly changed: DatabaseState };

const tell = (report: Report): void => void process.stdout.write(`${JSON.stringify(report)}\n`);

const secrets = '/tmp/secrets';
for (const [file, text] of [
  ['system/replication-password', 'replication'],
  ['system/rewind-password', 'rewind'],
  ['app/password', 'app'],
] as const) {
  await mkdir(`${secrets}/${file.split('/')[0] ?? ''}`, { recursive: true });
  await writeFile(`${secrets}/${file}`, text);
}
await mkdir('/run/mainstay', { recursive: true });

const parameters = JSON.parse(process.argv[2] ?? '{}') as Definition['parameters'];
const context: EngineContext = {
  definition: {
    generation: 1,
    engine: 'postgres',
    version: '18',
    instances: ['t-1'],
    durability: { mode: 'Preferred', acknowledgements: 1 },
    parameters,
    application: { database: 'app', owner: 'app' },
    paused: false,
  } as unknown as Definition,
  history: new Map(),
  incarnation: 'ab12cd34',
};
const engine = postgresEngine({
  instance: 't-1',
  layout: layout('/var/lib/mainstay', await installedVersion(), '/run/mainstay', secrets),
  clock: systemClock,
  log: pino({ level: process.env['LOG_LEVEL'] ?? 'warn' }, pino.destination({ fd: 2, sync: true })),
});
engine.onHealth((health) => tell({ health, at: systemClock.now() }));
engine.onChange((changed) => tell({ changed }));

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request;
  const { id } = request;
  const work = async (): Promise<unknown> => {
    if ('inspect' in request) return engine.inspect();
    if ('observe' in request) return engine.observe(context, AbortSignal.timeout(5000));
    const limit = AbortSignal.timeout(request.limit ?? 60_000);
    return request.effect.type === 'kill' ? engine.kill(limit) : engine.run(request.effect, context, limit);
  };
  void work().then(
    () => tell({ id, state: engine.state() }),
    (error: unknown) => tell({ id, state: engine.state(), error: String(error) }),
  );
});
tell({ ready: true });
