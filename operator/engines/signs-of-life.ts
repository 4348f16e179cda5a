/**
 * What the probes of a running server have shown, and what follows from it (DESIGN §5, rule 10). Pure: signs are folded in
 * as they come. A database that is busy but gets on is not hung, however long it leaves a probe without an answer.
 */
import type { Health, Milliseconds } from '../ha/state.ts';

/** In milliseconds. */
export const limits = {
  /** Between looks at the time. */
  tick: 250,
  /** Nothing has succeeded and nothing has moved for so long: failing. */
  silence: 4000,
  /** Work that never leads to a commit (a spinning backend) buys no more than this. */
  patience: 30_000,
} as const;

/** Seen without asking the server anything, since the last look. */
export interface Progress {
  /** Its log of changes was written to. */
  readonly log: boolean;
  /** A process of the server used the processor or read or wrote. */
  readonly work: boolean;
  /** The device below the data directory finished writing something. */
  readonly device: boolean;
  /** The main process is stopped by a signal (state T): nobody gets in, whatever its children still do. */
  readonly serverStopped: boolean;
}

export type Sign =
  | { readonly type: 'time' }
  /** `committed`: a new session's write reached the disk (a replica: was answered). `refused`: the server said no. */
  | { readonly type: 'canary'; readonly outcome: 'committed' | 'refused' | 'silent'; readonly detail: string }
  | { readonly type: 'progress'; readonly progress: Progress }
  | {
      readonly type: 'disk';
      readonly outcome: DiskOutcome;
      readonly detail: string;
    };

/** `unable`: no write could be tried. */
export type DiskOutcome = 'written' | 'full' | 'read-only' | 'failed' | 'unable' | 'silent';

export interface Signs {
  readonly lookedAt: Milliseconds;
  /** The last canary that committed. */
  readonly committedAt: Milliseconds;
  /** The last proof that a commit can be had: a canary that committed, or a log that grew. */
  readonly provenAt: Milliseconds;
  /** The last sign of any kind. */
  readonly movedAt: Milliseconds;
  /** Canaries left without an answer since the last that committed. */
  readonly unanswered: number;
  readonly canaryDetail: string;
  /** Looks in a row that found the main process stopped. */
  readonly stoppedLooks: number;
  /** The last write to the disk that went through, or the device finishing other writes. */
  readonly writtenAt: Milliseconds;
  /** Disk canaries without success since the last one that was written. */
  readonly unwritten: number;
  readonly diskDetail: string;
  /** The same refusal of the disk, and how often in a row. */
  readonly refusal:
    { readonly reason: 'DiskFull' | 'DiskReadOnly'; readonly since: Milliseconds; readonly times: number } | undefined;
}

export function freshSigns(now: Milliseconds): Signs {
  return {
    lookedAt: now,
    committedAt: now,
    provenAt: now,
    movedAt: now,
    unanswered: 0,
    canaryDetail: '',
    stoppedLooks: 0,
    writtenAt: now,
    unwritten: 0,
    diskDetail: '',
    refusal: undefined,
  };
}

export function withSign(before: Signs, sign: Sign, now: Milliseconds): Signs {
  const signs = awake(before, now);
  switch (sign.type) {
    case 'time':
      return signs;
    case 'canary':
      return withCanary(signs, sign.outcome, sign.detail, now);
    case 'progress': {
      const { log, work, device, serverStopped } = sign.progress;
      // A database that waits for a disk that is slow, not stalled, is the disk's case.
      const moved = log || work || (device && signs.unwritten > 0);
      return {
        ...signs,
        provenAt: log ? now : signs.provenAt,
        movedAt: moved ? now : signs.movedAt,
        // A log that grows has been forced to the disk again and again: a commit holds up the next one until it was.
        writtenAt: log || device ? now : signs.writtenAt,
        stoppedLooks: serverStopped ? signs.stoppedLooks + 1 : 0,
      };
    }
    case 'disk':
      return withDisk(signs, sign.outcome, sign.detail, now);
  }
}

/**
 * Time in which this process itself did not run (stopped, starved, a paused machine) says nothing about the database: the
 * answers may be waiting to be read. It is taken out by moving all that was seen before it.
 */
function awake(signs: Signs, now: Milliseconds): Signs {
  const slept = Math.max(0, now - signs.lookedAt - 2 * limits.tick);
  const { refusal } = signs;
  return {
    ...signs,
    lookedAt: now,
    ...(slept > 0 && {
      committedAt: signs.committedAt + slept,
      provenAt: signs.provenAt + slept,
      movedAt: signs.movedAt + slept,
      writtenAt: signs.writtenAt + slept,
      refusal: refusal && { ...refusal, since: refusal.since + slept },
    }),
  };
}

function withCanary(
  signs: Signs,
  outcome: 'committed' | 'refused' | 'silent',
  detail: string,
  now: Milliseconds,
): Signs {
  if (outcome === 'silent') return { ...signs, unanswered: signs.unanswered + 1, canaryDetail: detail };
  // A server without a free connection has answered. But if earlier canaries still hang in it, they may be what fills it.
  if (outcome === 'refused' && signs.unanswered > 0) return { ...signs, movedAt: now, canaryDetail: detail };
  return { ...signs, committedAt: now, provenAt: now, movedAt: now, unanswered: 0, stoppedLooks: 0 };
}

function withDisk(signs: Signs, outcome: DiskOutcome, detail: string, now: Milliseconds): Signs {
  switch (outcome) {
    case 'written':
    case 'unable':
      return { ...signs, writtenAt: now, unwritten: 0, refusal: undefined };
    case 'silent':
    case 'failed':
      return { ...signs, unwritten: signs.unwritten + 1, diskDetail: detail };
    case 'full':
    case 'read-only': {
      const reason = outcome === 'full' ? 'DiskFull' : 'DiskReadOnly';
      const same = signs.refusal?.reason === reason ? signs.refusal : { reason, since: now, times: 0 };
      // It has answered: it is not stalled.
      return {
        ...signs,
        writtenAt: now,
        unwritten: 0,
        diskDetail: detail,
        refusal: { ...same, reason, times: same.times + 1 },
      };
    }
  }
}

export function verdict(signs: Signs, now: Milliseconds): Health {
  const { refusal } = signs;
  if (refusal && refusal.times >= 2)
    return { status: 'failing', reason: refusal.reason, since: refusal.since, detail: signs.diskDetail };

  const diskSilence = now - signs.writtenAt;
  const hung =
    (signs.unanswered > 0 && (now - signs.movedAt >= limits.silence || now - signs.provenAt >= limits.patience)) ||
    (signs.stoppedLooks >= 2 && now - signs.committedAt >= limits.silence);
  // A disk that has just fallen silent explains a silent database.
  const stalled = signs.unwritten > 0 && diskSilence >= (hung ? limits.silence / 2 : limits.silence);
  if (stalled)
    return {
      status: 'failing',
      reason: 'DiskStalled',
      since: signs.writtenAt,
      detail: `no write to the disk has ended for ${seconds(diskSilence)}: ${signs.diskDetail}`,
    };
  if (hung)
    return {
      status: 'failing',
      reason: 'DatabaseHung',
      since: signs.committedAt,
      detail:
        signs.stoppedLooks >= 2
          ? `the server’s main process is stopped; no probe has succeeded for ${seconds(now - signs.committedAt)}`
          : `no probe has succeeded for ${seconds(now - signs.committedAt)}, and nothing in the server has moved for ${seconds(now - signs.movedAt)}: ${signs.canaryDetail}`,
    };
  return { status: 'well' };
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
