import { setTimeout as sleep } from 'node:timers/promises';

/** For tests against real sockets: waits until a statement about the world is true. */
export async function eventually(holds: () => boolean, withinMs = 4_000): Promise<void> {
  const end = process.hrtime.bigint() + BigInt(withinMs) * 1_000_000n;
  while (!holds()) {
    if (process.hrtime.bigint() > end) throw new Error(`not true within ${String(withinMs)} ms: ${holds.toString()}`);
    await sleep(2);
  }
}
