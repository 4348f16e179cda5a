/** Watches a running server for signs of life, on timers of its own, whatever else is done with it meanwhile. */
import type { Health } from '../ha/state.ts';
import { untilNextBeat, type Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { DiskCanary } from './disk-canary.ts';
import { freshSigns, limits, verdict, withSign, type Progress, type Sign } from './signs-of-life.ts';

/** In milliseconds. */
const probing = {
  period: 1000,
  deadline: 2000,
  /** A probe that takes longer has traces of progress looked for, which costs more than the probe. */
  slow: 500,
  lookPeriod: 1000,
  /** Each canary that hangs keeps a connection of the server: from the fourth on there is no hurry. */
  patientPeriod: 5000,
  patientAfter: 4,
};

export interface Probes {
  /** Resolves when a new session has got what it asked for; `refused`: the server answered that it won't. */
  canary(signal: AbortSignal): Promise<'committed' | 'refused'>;
  readonly disk: DiskCanary;
  progress(): Promise<Progress>;
}

export interface HealthWatch {
  /** No more probes; what was last told stays. */
  stop(): void;
}

/** `tell` is called when the health is no longer what it was last told; it begins as well. */
export function watchHealth(probes: Probes, clock: Clock, log: Logger, tell: (health: Health) => void): HealthWatch {
  const stopping = new AbortController();
  let signs = freshSigns(clock.now());
  let told: Health = { status: 'well' };
  let cancelTick = (): void => undefined;
  const canary = { startedAt: -Infinity, underWay: false };
  const disk = { startedAt: -Infinity, underWay: false };
  const look = { startedAt: -Infinity, underWay: false };

  function note(sign: Sign): void {
    if (stopping.signal.aborted) return;
    signs = withSign(signs, sign, clock.now());
    const health = verdict(signs, clock.now());
    const reason = (of: Health): string => (of.status === 'failing' ? of.reason : of.status);
    if (reason(health) === reason(told)) return;
    told = health;
    log.warn({ health }, health.status === 'well' ? 'the database answers again' : health.detail);
    tell(health);
  }

  async function tryCanary(): Promise<void> {
    canary.startedAt = clock.now();
    canary.underWay = true;
    const limit = new AbortController();
    const cancel = clock.after(probing.deadline, () => limit.abort(new Error(`no answer in ${probing.deadline} ms`)));
    try {
      const outcome = await probes.canary(AbortSignal.any([limit.signal, stopping.signal]));
      note({ type: 'canary', outcome, detail: outcome });
    } catch (error) {
      note({ type: 'canary', outcome: 'silent', detail: error instanceof Error ? error.message : String(error) });
    } finally {
      cancel();
      canary.underWay = false;
    }
  }

  async function tryDisk(): Promise<void> {
    disk.startedAt = clock.now();
    disk.underWay = true;
    const cancel = clock.after(probing.deadline, () =>
      note({ type: 'disk', outcome: 'silent', detail: 'a small write is still under way' }),
    );
    const result = await probes.disk
      .write()
      .catch((error: unknown) => ({ outcome: 'unable', detail: String(error) }) as const);
    cancel();
    disk.underWay = false;
    if (result.outcome === 'unable' && !stopping.signal.aborted) log.warn(result, 'the disk can’t be probed');
    note({ type: 'disk', outcome: result.outcome, detail: 'detail' in result ? result.detail : '' });
  }

  async function lookAround(): Promise<void> {
    // Compared with a look of long ago, everything has moved: only the next one will tell.
    const first = clock.now() - look.startedAt > 2 * probing.lookPeriod;
    look.startedAt = clock.now();
    look.underWay = true;
    try {
      const progress = await probes.progress();
      note({ type: 'progress', progress: first ? { ...progress, log: false, work: false, device: false } : progress });
    } catch (error) {
      log.debug({ err: error }, 'could not look for progress');
    } finally {
      look.underWay = false;
    }
  }

  function tick(): void {
    if (stopping.signal.aborted) return;
    const now = clock.now();
    note({ type: 'time' });
    const canaryPeriod = signs.unanswered < probing.patientAfter ? probing.period : probing.patientPeriod;
    if (!canary.underWay && now - canary.startedAt >= canaryPeriod) void tryCanary();
    if (!disk.underWay && now - disk.startedAt >= probing.period) void tryDisk();
    const slow = [canary, disk].some((probe) => probe.underWay && now - probe.startedAt >= probing.slow);
    const suspicious = slow || signs.unanswered > 0 || signs.unwritten > 0;
    if (suspicious && !look.underWay && now - look.startedAt >= probing.lookPeriod) void lookAround();
    cancelTick = clock.after(untilNextBeat(clock, limits.tick), tick);
  }
  tick();

  return {
    stop: () => {
      stopping.abort(new Error('the server is being ended'));
      cancelTick();
      probes.disk.stop();
    },
  };
}
