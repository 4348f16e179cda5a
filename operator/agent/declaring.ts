/** Has the primary's database hold what the operator has declared, and reports what is not so; apart from everything urgent. */
import { declarationDigest, keys, type Declared, type InstanceName } from '../api/cluster-state.ts';
import type { Dcs } from '../dcs/dcs.ts';
import type { Engine } from '../engines/engine.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import type { Alarm } from './alarm.ts';

/** As of now, on a primary that serves. */
export interface Declaring {
  readonly declaration: string;
  /** What was reported last. */
  readonly reported: Declared | undefined;
  /** Of `leader` in etcd: a report holds only for who leads. */
  readonly leaderRevision: number;
  readonly lacking: (credentials: string) => readonly InstanceName[];
}

export interface DeclaringParts {
  readonly instance: InstanceName;
  readonly prefix: string;
  readonly engine: Engine;
  readonly dcs: Dcs;
  readonly clock: Clock;
  readonly log: Logger;
  readonly now: () => Declaring | undefined;
  /** Rung when there is something new to do. */
  readonly due: Alarm;
}

/** Milliseconds: between two looks for what others have changed; after something failed; while something waits; for one look. */
const period = 30_000;
const retry = { first: 2000, longest: 60_000 };
const waiting = 1000;
const limit = 180_000;
const reportDeadline = 2000;

export async function keepDeclared(parts: DeclaringParts, signal: AbortSignal): Promise<void> {
  const { clock, log, due } = parts;
  const ended = (): boolean => signal.aborted;
  let failures = 0;
  let told = '';
  let wait = period;
  while (!ended()) {
    await due.wait(wait);
    const asked = ended() ? undefined : parts.now();
    if (!asked) {
      wait = waiting;
      continue;
    }
    try {
      const findings = await look(parts, asked, signal);
      const text = findings.map((finding) => `${finding.kind} ${finding.name} ${finding.state}: ${finding.text}`);
      if (text.join('\n') !== told)
        log[text.length === 0 ? 'info' : 'warn']({ findings: text }, 'roles and databases looked after');
      told = text.join('\n');
      const failed = findings.some(({ state }) => state === 'failed');
      failures = failed ? failures + 1 : 0;
      wait = findings.some(({ state }) => state === 'waiting') ? waiting : failed ? pause(failures) : period;
    } catch (error) {
      failures += 1;
      wait = pause(failures);
      if (!ended()) log.warn({ err: error, again: wait }, 'roles and databases could not be looked after');
    }
  }

  function pause(times: number): number {
    return Math.min(retry.first * 2 ** (times - 1), retry.longest);
  }

  async function look(
    { engine, dcs, prefix, instance }: DeclaringParts,
    asked: Declaring,
    outer: AbortSignal,
  ): Promise<Declared['findings']> {
    const timeout = new AbortController();
    const disarm = clock.after(limit, () =>
      timeout.abort(new Error(`roles and databases took longer than ${limit} ms`)),
    );
    try {
      const findings = await engine.declare(asked.declaration, asked.lacking, AbortSignal.any([outer, timeout.signal]));
      const report: Declared = {
        declaration: declarationDigest(asked.declaration),
        instance,
        findings,
        at: clock.wall().toISOString(),
      };
      if (!isSame(report, asked.reported)) {
        const { outcome } = await dcs.txn(
          [{ key: prefix + keys.leader, is: 'modRevision', modRevision: asked.leaderRevision }],
          [{ put: prefix + keys.declared, value: JSON.stringify(report) }],
          { milliseconds: reportDeadline, signal: outer },
        );
        if (outcome !== 'applied') throw new Error(`the report was not written: ${outcome}`);
      }
      return findings;
    } finally {
      disarm();
    }
  }
}

const isSame = (report: Declared, reported: Declared | undefined): boolean =>
  reported !== undefined &&
  report.declaration === reported.declaration &&
  JSON.stringify(report.findings) === JSON.stringify(reported.findings);
