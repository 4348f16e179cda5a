import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { keptSession } from './sql.ts';

let server: Server;
let directory: string;

/** Takes connections and never says a word, as a server that is stopped by a signal does. */
async function muteServer(): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), 'mainstay-sql-'));
  server = createServer((socket) => socket.on('error', () => undefined));
  server.listen(join(directory, '.s.PGSQL.5432'));
  await once(server, 'listening');
}

afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

test('closing a session whose connection is still under way ends what waits for it', async () => {
  await muteServer();
  const kept = keptSession(directory, 60_000);
  const query = kept.run(new AbortController().signal, (session) => session.query('SELECT 1'));
  await once(server, 'connection');
  kept.close();
  await expect(query).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
});
