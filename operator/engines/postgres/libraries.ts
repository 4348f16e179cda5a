/** Libraries that PostgreSQL loads when it starts: one that is missing would keep it from starting. */
import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Layout } from './layout.ts';

const lists = ['shared_preload_libraries', 'session_preload_libraries', 'local_preload_libraries'];

/** What is wrong, with the remedy; undefined: all are there. */
export async function missingLibrary(
  settings: Readonly<Record<string, string>>,
  layout: Layout,
): Promise<string | undefined> {
  const own = join(layout.bin, '../lib');
  const folders = (settings['dynamic_library_path'] ?? '$libdir').split(':').map((folder) => withLibdir(folder, own));
  for (const list of lists)
    for (const library of namesIn(settings[list] ?? '')) {
      const searched = list === 'local_preload_libraries' ? [join(own, 'plugins')] : folders;
      const places = library.includes('/')
        ? [withLibdir(library, own)]
        : searched.map((folder) => join(folder, library));
      const files = places.filter(isAbsolute).flatMap((place) => [place, `${place}.so`]);
      if (!(await anyExists(files)))
        return `${list}: the image has no library ${library} (${files.join(', ')}): use an image that has it, or remove it`;
    }
  return undefined;
}

const withLibdir = (path: string, libdir: string): string => path.replace(/^\$libdir/, libdir);

/** A list as PostgreSQL reads it: commas between, quotes around what has strange characters. */
const namesIn = (list: string): readonly string[] =>
  list
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter((name) => name !== '');

async function anyExists(files: readonly string[]): Promise<boolean> {
  for (const file of files)
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return true;
  return false;
}
