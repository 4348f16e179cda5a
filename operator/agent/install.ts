import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Copies this program and the Node that runs it into `directory`, shared with the database's container. */
export async function install(directory: string): Promise<void> {
  await copyFile(process.execPath, join(directory, 'node'));
  await chmod(join(directory, 'node'), 0o755);
  await copyFile(fileURLToPath(import.meta.url), join(directory, 'agent.mjs'));
}
