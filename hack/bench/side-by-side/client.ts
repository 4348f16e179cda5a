/** The application: hack/writer as a process beside the nodes, which finds the primary among all three instances, whoever keeps them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from '../../testbed/cluster-access.ts';
import { seconds, until, yes } from '../../testbed/until.ts';
import { askingAt, writerClient, type WriterClient } from '../../testbed/writer-client.ts';

export const application = { user: 'app', password: 'application', database: 'app', port: 5432 } as const;

export interface Client extends WriterClient {
  readonly end: () => Promise<void>;
}

const port = 9090;
const startMs = seconds(20);

export async function startClient(
  hosts: readonly string[],
  table: string,
  folder: string,
  signal: AbortSignal,
): Promise<Client> {
  const access = path.join(folder, 'application');
  await mkdir(access, { recursive: true });
  const { user, password, database } = application;
  const files = { username: user, password, dbname: database, port: String(application.port) };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(access, name), text);
  const child = spawn(process.execPath, ['--no-warnings', path.join(repository, 'hack/writer/main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      WRITER_ACCESS: access,
      WRITER_TABLE: table,
      WRITER_HOSTS: hosts.join(),
      WRITER_PORT: String(port),
    },
  });
  const log = createWriteStream(path.join(folder, 'writer.log'), { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = once(child, 'exit');
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    log.end();
  };
  try {
    const client = writerClient(askingAt(`http://127.0.0.1:${port}`), table, signal);
    await until('the writer', async () => yes(await client.state()), { within: startMs, signal, everyMs: 50 });
    return { ...client, end };
  } catch (error) {
    await end();
    throw error;
  }
}
