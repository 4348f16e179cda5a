import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { initScript } from './init.ts';

/** Copies this program, the Node that runs it and their PID 1 into `directory`, shared with the database's container. */
export async function install(directory: string): Promise<void> {
  await copyFile(process.execPath, join(directory, 'node'));
  await chmod(join(directory, 'node'), 0o755);
  await copyFile(fileURLToPath(import.meta.url), join(directory, 'agent.mjs'));
  await writeFile(join(directory, 'init'), initScript, { mode: 0o755 });
}
