/** The disk below an instance: it may stall, so that nothing becomes durable for a while, and it may be full. */
import type { VirtualTime } from './virtual-time.ts';

export interface Disk {
  /** Writes and flushes, in order; `failed` if there is no space. The writer may be dead by then. */
  readonly write: (done: () => void, failed: () => void) => void;
  readonly stall: (milliseconds: number) => void;
  readonly fill: (milliseconds: number) => void;
  readonly stalled: () => boolean;
  readonly full: () => boolean;
  readonly heal: () => void;
}

export function createDisk(time: VirtualTime): Disk {
  let stalledUntil = 0;
  let fullUntil = 0;
  let waiting: (() => void)[] = [];
  const stalled = (): boolean => time.now() < stalledUntil;
  const full = (): boolean => time.now() < fullUntil;

  function goOn(): void {
    if (stalled()) return;
    const due = waiting;
    waiting = [];
    for (const write of due) write();
  }

  return {
    stalled,
    full,
    write: (done, failed) => {
      if (stalled()) waiting.push(() => (full() ? failed() : done()));
      else if (full()) failed();
      else done();
    },
    stall: (milliseconds) => {
      stalledUntil = Math.max(stalledUntil, time.now() + milliseconds);
      time.after(milliseconds, goOn);
    },
    fill: (milliseconds) => (fullUntil = Math.max(fullUntil, time.now() + milliseconds)),
    heal: () => {
      [stalledUntil, fullUntil] = [0, 0];
      goOn();
    },
  };
}
