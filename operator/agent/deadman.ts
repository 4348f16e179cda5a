/** A shell child that kills everything in the container when the agent falls silent: the only one to act while Node is stopped. */
import { spawn, type ChildProcess } from 'node:child_process';
import { untilNextBeat, type Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';
import { ownsNamespace } from './init.ts';

/** Milliseconds between two signs of life. */
const beat = 500;

/**
 * Each line says how many seconds the next may take. `read -t` fails on silence and on end of input alike. PID 1 is out of
 * its reach, and ends by itself when the agent does.
 */
const script = 'limit=$1; while IFS= read -r -t "$limit" limit; do :; done; kill -9 -1';

/** Less than this would be a poll for `read`, or no time to feed it again. */
const shortest = 100;

export interface DeadmanOptions {
  /** Silence after which it strikes, in milliseconds. */
  readonly limit: number;
  /** For how long leadership is proven at most (TTL − margin): a stopped agent's database must be dead before that ends. */
  readonly proof: number;
  /** Milliseconds for which the database may live from now on: less than the limit makes it strike sooner. */
  readonly allowed: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** ConfigurationInvalid if the limit is not between two beats and the proof. */
export function startDeadman({ limit, proof, allowed, clock, log }: DeadmanOptions): { stop(): void } {
  if (limit < 2 * beat || limit >= proof)
    throw new MainstayError(
      'ConfigurationInvalid',
      `MAINSTAY_DEADMAN_SECONDS is ${limit / 1000}; it must be at least ${(2 * beat) / 1000}, and less than the lease's TTL − margin (${proof / 1000}), or a stopped primary would outlive its lease.`,
    );
  if (!ownsNamespace()) {
    // Outside a container of its own, `kill -1` would hit strangers.
    log.warn('not the first process of a container: no deadman');
    return { stop: () => undefined };
  }
  let stopped = false;
  let cancelBeat = (): void => undefined;
  let cancelReplacement = (): void => undefined;
  let child = start();

  function start(): ChildProcess {
    const started = spawn('bash', ['-c', script, 'deadman', String(limit / 1000)], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    started.stdin.on('error', () => undefined);
    started.on('exit', () => {
      if (stopped) return;
      log.error('the deadman has ended; replacing it');
      // Not at once: where processes can't be started at all, that would never end.
      cancelReplacement = clock.after(beat / 10, () => (child = start()));
    });
    return started;
  }
  const feed = (): void => {
    const time = Math.min(limit, allowed());
    if (time >= shortest) child.stdin?.write(`${(time / 1000).toFixed(3)}\n`);
    cancelBeat = clock.after(untilNextBeat(clock, beat), feed);
  };
  feed();
  return {
    stop: () => {
      stopped = true;
      cancelBeat();
      cancelReplacement();
      child.kill('SIGKILL');
    },
  };
}
