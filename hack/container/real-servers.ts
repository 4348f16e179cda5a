/** How tests that need real PostgreSQL processes are written: skipped, and saying why, where there can be none. */
import { test } from '@jest/globals';
import { rootForTests } from './root.ts';

export async function realServers(...image: Parameters<typeof rootForTests>) {
  const { root, whyNot } = await rootForTests(...image);
  return {
    /** Empty where tests are skipped. */
    root: root ?? '',
    onRealServers: whyNot === undefined ? test : test.skip,
    title: (what: string): string => (whyNot === undefined ? what : `${what} [skipped: ${whyNot}]`),
  };
}
