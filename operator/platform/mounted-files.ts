/** Files of a Secret that is mounted at a folder, as of one moment. */
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** Where the folder's files are at present: another path after each renewal. The folder itself where it is no mount. */
export function mountedData(directory: string): string {
  try {
    return realpathSync(join(directory, '..data'));
  } catch {
    return directory;
  }
}

/**
 * The text of each file by its key in `names`, without those that are not there.
 *
 * Synchronous on purpose: a Secret's mount is memory, and in Node's pool the read would wait behind calls that hang on a
 * stalled disk. The kubelet renews all files at once, by exchanging the link `..data`; a read across that is done again.
 */
export function readMounted<K extends string>(
  directory: string,
  names: Readonly<Record<K, string>>,
): Partial<Record<K, string>> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const data = mountedData(directory);
    const files = Object.entries<string>(names).map(([key, name]) => [key, textIn(join(data, name))] as const);
    if (mountedData(directory) !== data) continue;
    const found: Partial<Record<string, string>> = Object.fromEntries(files.filter(([, text]) => text !== undefined));
    return found;
  }
  throw new Error('the files change faster than they can be read');
}

/** Without the line end that editors and `echo` leave, which no user name or password is meant to have. */
function textIn(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '') || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
