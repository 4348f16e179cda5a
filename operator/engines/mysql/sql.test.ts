/** Against MySQL's protocol as mysql2 serves it: a statement that is never answered, at a moment of the test's choosing. */
import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import mysql from 'mysql2';
import { keptSession } from './sql.ts';

test('a statement that is never answered ends with its limit, and the next is asked on another connection', async () => {
  let connections = 0;
  const server = mysql.createServer((connection) => {
    connections += 1;
    const isFirst = connections === 1;
    connection.on('error', () => undefined);
    connection.serverHandshake({
      ...{ protocolVersion: 10, serverVersion: '9.7.0', connectionId: connections, statusFlags: 2 },
      ...{ characterSet: 8, capabilityFlags: 0xff_ff_ff ^ 0x800 },
      authCallback: (_: unknown, proceed: (error: null) => void) => proceed(null),
    });
    connection.on('query', () => {
      if (!isFirst) connection.writeOk();
    });
  });
  server.listen(0);
  const listening = (server as unknown as { readonly _server: Server })._server;
  if (!listening.listening) await once(listening, 'listening');
  const kept = keptSession({ host: '127.0.0.1', port: (listening.address() as AddressInfo).port, user: 'agent' });
  const ask = (limitMs: number): Promise<unknown> =>
    kept.run(limitMs, new AbortController().signal, (session) => session.query('SELECT 1'));
  try {
    await expect(ask(300)).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
    await expect(ask(10_000)).resolves.toBeDefined();
    expect(connections).toBe(2);
  } finally {
    kept.close();
    listening.close();
  }
}, 20_000);
