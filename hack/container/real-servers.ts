/** How tests that need real PostgreSQL processes are written: skipped, and saying why, where there can be none. */
import { afterEach, test } from '@jest/globals';
import { rootForTests } from './root.ts';

interface Removable {
  remove(): Promise<void>;
}

export async function realServers(...image: Parameters<typeof rootForTests>) {
  const { root, whyNot } = await rootForTests(...image);
  const running = new Set<Removable>();
  afterEach(async () => {
    const left = [...running];
    running.clear();
    for (const one of left) await one.remove();
  }, 30_000);
  return {
    /** Empty where tests are skipped. */
    root: root ?? '',
    onRealServers: whyNot === undefined ? test : test.skip,
    /** Sees to it that it is gone after the test, whatever became of that. */
    removedAfterwards: <T extends Removable>(one: T): T => {
      running.add(one);
      return one;
    },
    title: (what: string): string => (whyNot === undefined ? what : `${what} [skipped: ${whyNot}]`),
  };
}
