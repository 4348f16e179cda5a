/** What the agent keeps on the instance's own volume: the vow, the incarnation, and the lock on all of it. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Epoch } from '../api/cluster-state.ts';
import { nothingSeen, type Seen } from '../ha/state.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';

const Kept = z.object({
  vow: z.int().nonnegative(),
  incarnation: z.string().min(1),
  /** What etcd was when the epoch or the sync set last changed. */
  seen: z
    .object({ adoptions: z.int().nonnegative(), revision: z.int().nonnegative(), rewound: z.boolean() })
    .default(nothingSeen),
  /** It may have given its word to a primary lately (rule 9), which a restart must keep. */
  pledging: z.boolean().default(false),
});
type Kept = z.output<typeof Kept>;

export interface Volume {
  vow(): Epoch;
  incarnation(): string;
  /** Durable when it resolves. A vow is never taken back. */
  writeVow(epoch: Epoch): Promise<void>;
  pledging(): boolean;
  /** Durable when it resolves. */
  writePledging(pledging: boolean): Promise<void>;
  seen(): Seen;
  /** Durable when it resolves. */
  writeSeen(seen: Seen): Promise<void>;
  /** For data about to be replaced; durable when it resolves. */
  renewIncarnation(): Promise<string>;
}

const newIncarnation = (): string => randomBytes(4).toString('hex');

export async function openVolume(directory: string): Promise<Volume> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'instance.json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  // A damaged file must stop the instance: taking it for a new one would forget its vow.
  let kept: Kept =
    text === undefined
      ? { vow: 0, incarnation: newIncarnation(), seen: nothingSeen, pledging: false }
      : Kept.parse(JSON.parse(text));
  const write = async (next: Kept): Promise<void> => {
    const file = await open(`${path}.next`, 'w');
    try {
      await file.writeFile(JSON.stringify(next));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.next`, path);
    const parent = await open(directory, 'r');
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
    kept = next;
  };
  if (text === undefined) await write(kept);
  // One after the other, each from what the one before has left: two at once would forget one of them.
  let last: Promise<void> = Promise.resolve();
  const update = (change: (from: Kept) => Kept): Promise<void> => {
    const next = last.then(() => write(change(kept)));
    last = next.catch(() => undefined);
    return next;
  };
  return {
    vow: () => kept.vow,
    incarnation: () => kept.incarnation,
    writeVow: (epoch) => update((from) => ({ ...from, vow: Math.max(from.vow, epoch) })),
    pledging: () => kept.pledging,
    writePledging: (pledging) => update((from) => ({ ...from, pledging })),
    seen: () => kept.seen,
    writeSeen: (seen) => update((from) => ({ ...from, seen })),
    renewIncarnation: async () => {
      await update((from) => ({ ...from, incarnation: newIncarnation() }));
      return kept.incarnation;
    },
  };
}

/**
 * Waits until no process holds the lock. Every process of the database inherits it, so a free lock proves that all which
 * could still acknowledge a write on this volume are gone (DESIGN §5, rule 12).
 */
export async function untilUnlocked(lock: string, clock: Clock, log: Logger, signal: AbortSignal): Promise<void> {
  for (;;) {
    const child = spawn('flock', ['--nonblock', '--conflict-exit-code', '75', lock, 'true'], { stdio: 'ignore' });
    const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('exit', resolve));
    if (code === 0) return;
    log.warn({ lock, code }, 'another process still holds this volume; waiting');
    await clock.sleep(200, signal);
  }
}

/**
 * Makes this process the only agent on the volume, for its whole life: the lock is held by a child that ends when this
 * process does. Waits for a former holder to be gone; `onLost` is called should the child end early.
 */
export async function holdVolume(
  lock: string,
  clock: Clock,
  log: Logger,
  onLost: () => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const holder = spawn('flock', ['--nonblock', lock, 'bash', '-c', 'echo held; exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    holder.stdin.on('error', () => undefined);
    const held = await new Promise<boolean>((resolve, reject) => {
      holder.on('error', reject);
      holder.once('exit', () => resolve(false));
      holder.stdout.once('data', () => resolve(true));
    });
    if (held) {
      holder.once('exit', onLost);
      return;
    }
    log.warn({ lock }, 'another agent still holds this volume; waiting');
    await clock.sleep(200, signal);
  }
}
