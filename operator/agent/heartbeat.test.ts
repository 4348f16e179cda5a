/** Two agents' ends of the question over a real connection. */
import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { startWatching } from './watching.ts';

const ended: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

interface Primary {
  readonly server: Server;
  readonly connections: Socket[];
  asked: number;
  answers: boolean;
}

async function primaryAt(port = 0, answers = true): Promise<Primary> {
  const primary: Primary = { server: createServer(), connections: [], asked: 0, answers };
  primary.server.on('connection', (socket) => primary.connections.push(socket));
  primary.server.on('request', (_, response) => {
    primary.asked += 1;
    if (primary.answers) response.end(JSON.stringify({ instance: 'orders-1', epoch: 3, leading: true }));
  });
  primary.server.listen(port, '127.0.0.1');
  await once(primary.server, 'listening');
  ended.push(() => end(primary));
  return primary;
}

async function end({ server }: Primary): Promise<void> {
  server.closeAllConnections();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
}

/** Resolves when what is told next satisfies `isWanted`. */
function watch(port: number): { readonly told: (isWanted: (lost: boolean) => boolean) => Promise<number> } {
  const watching = startWatching({ agentPort: port });
  ended.push(() => watching.end());
  return { told: async (isWanted) => (await watching.told(isWanted)).took };
}

test('all questions go over one connection; when its process ends, the primary is lost at once', async () => {
  const primary = await primaryAt();
  const { port } = primary.server.address() as AddressInfo;
  const { told } = watch(port);
  while (primary.asked < 4) await told((lost) => !lost);
  expect(primary.connections).toHaveLength(1);
  const lost = told((isLost) => isLost);
  await end(primary);
  // Silence would take 1.25 s.
  expect(await lost).toBeLessThan(600);
});

test('a connection that breaks while the process lives is made anew', async () => {
  const primary = await primaryAt();
  const { port } = primary.server.address() as AddressInfo;
  const { told } = watch(port);
  await told((lost) => !lost);
  while (primary.asked < 1) await told((lost) => !lost);
  let losses = 0;
  primary.connections[0]?.destroy();
  while (primary.asked < 4)
    await told((lost) => {
      losses += lost ? 1 : 0;
      return true;
    });
  expect(primary.connections).toHaveLength(2);
  expect(losses).toBe(0);
});

test('one that takes the question and never answers is lost after 1.25 s of silence', async () => {
  const primary = await primaryAt(0, false);
  const { port } = primary.server.address() as AddressInfo;
  const took = await watch(port).told((lost) => lost);
  expect(took).toBeGreaterThan(1200);
  expect(took).toBeLessThan(3000);
});

test('after a false alarm, twice as long a silence is borne', async () => {
  const primary = await primaryAt();
  const { port } = primary.server.address() as AddressInfo;
  const { told } = watch(port);
  while (primary.asked < 2) await told((lost) => !lost);
  primary.answers = false;
  await told((lost) => lost);
  primary.answers = true;
  await told((lost) => !lost);
  primary.answers = false;
  const took = await told((lost) => lost);
  expect(took).toBeGreaterThan(2000);
  expect(took).toBeLessThan(7500);
});
