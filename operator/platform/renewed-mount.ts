/** For tests: renews the files of a mounted Secret as the kubelet does, all at once, by exchanging a link. */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export async function renewMount(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  const folder = `..${randomUUID()}`;
  await mkdir(join(directory, folder), { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(directory, folder, file), text);
  await symlink(folder, join(directory, '..next'));
  await rename(join(directory, '..next'), join(directory, '..data'));
}
