/**
 * What a running process spends its time and memory on, when somebody asks: SIGUSR2 samples both for half a minute and leaves
 * two files that Chrome's DevTools, VS Code and speedscope open. Sampling stops nothing, unlike a snapshot of the heap, which
 * would keep an agent from renewing its lease. Only who may signal the process can ask, and nothing listens anywhere.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

export interface Profiling {
  /** The files are `<program>-<time>.cpuprofile` and `.heapprofile` in this folder. */
  readonly program: string;
  readonly folder: string;
  readonly milliseconds: number;
}

export const usualProfiling = { folder: '/tmp', milliseconds: 30_000 } as const;

export function profileWhenAsked({ program, folder, milliseconds }: Profiling, clock: Clock, log: Logger): void {
  let isRunning = false;
  process.on('SIGUSR2', () => {
    if (isRunning) return;
    isRunning = true;
    log.info({ ms: milliseconds }, 'profiling');
    void profile(milliseconds, clock)
      .then(async ({ cpu, heap }) => {
        const name = path.join(folder, `${program}-${clock.wall().toISOString().replaceAll(/[:.]/g, '-')}`);
        const files = { [`${name}.cpuprofile`]: cpu, [`${name}.heapprofile`]: heap };
        for (const [file, content] of Object.entries(files))
          await writeFile(file, JSON.stringify(content), { mode: 0o600 });
        log.info({ files: Object.keys(files) }, 'profiled');
      })
      .catch((error: unknown) => log.error({ err: error }, 'could not profile'))
      .finally(() => (isRunning = false));
  });
}

async function profile(milliseconds: number, clock: Clock): Promise<{ readonly cpu: unknown; readonly heap: unknown }> {
  // Costs memory, so only when it is wanted.
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('HeapProfiler.enable');
    await session.post('Profiler.start');
    await session.post('HeapProfiler.startSampling');
    await clock.sleep(milliseconds);
    const [cpu, heap] = [await session.post('Profiler.stop'), await session.post('HeapProfiler.stopSampling')];
    return { cpu: cpu.profile, heap: heap.profile };
  } finally {
    session.disconnect();
  }
}
