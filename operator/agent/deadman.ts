/** A shell child that kills everything in the container when the agent falls silent: the only one to act while Node is stopped. */
import { spawn } from 'node:child_process';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';

/** Silence after which it strikes. Less than TTL − margin: a stopped agent's database is dead before its lease ends. */
const limitSeconds = 3;
export const deadmanLimit = limitSeconds * 1000;
const beat = 500;

/** `read -t` fails on silence and on end of input alike. PID 1 itself, the agent, is out of its reach. */
const script = `while IFS= read -r -t ${limitSeconds} _; do :; done; kill -9 -1`;

/** Fed only while `mayLive` holds, so that its limit never reaches beyond what is proven, whenever the agent stops. */
export function startDeadman(mayLive: () => boolean, clock: Clock, log: Logger): { stop(): void } {
  if (process.pid !== 1) {
    // Outside a container of its own, `kill -1` would hit strangers.
    log.warn('not PID 1: no deadman');
    return { stop: () => undefined };
  }
  let stopped = false;
  let cancelBeat = (): void => undefined;
  let child = start();

  function start(): ReturnType<typeof spawn> {
    const started = spawn('bash', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
    started.stdin.on('error', () => undefined);
    started.on('exit', () => {
      if (stopped) return;
      log.error('the deadman has ended; replacing it');
      child = start();
    });
    return started;
  }
  const feed = (): void => {
    if (mayLive()) child.stdin?.write('\n');
    cancelBeat = clock.after(beat, feed);
  };
  feed();
  return {
    stop: () => {
      stopped = true;
      cancelBeat();
      child.kill('SIGKILL');
    },
  };
}
