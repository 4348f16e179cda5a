/** Networks for tests that fail as real ones do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { systemClock } from '../platform/clock.ts';

/**
 * `frozen`: accepts and keeps silent; what it was given meanwhile it delivers, in both directions, once it passes again.
 * `cut`: resets every connection.
 */
export type ProxyMode = 'pass' | 'frozen' | 'cut' | 'answers-dropped';

export interface BlackHole {
  readonly port: number;
  set(mode: ProxyMode): void;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
  held: { readonly to: Socket; readonly chunk: Buffer }[];
}

/** A TCP proxy. */
export async function createBlackHole(targetPort: number): Promise<BlackHole> {
  const pairs = new Set<Pair>();
  let mode: ProxyMode = 'pass';

  const forward = (pair: Pair, to: Socket, chunk: Buffer): void => {
    if (mode === 'frozen') pair.held.push({ to, chunk });
    else if (mode === 'pass' || to === pair.target) to.write(chunk);
  };
  const apply = (pair: Pair): void => {
    if (mode === 'cut') {
      pair.client.resetAndDestroy();
      pair.target.destroy();
    } else if (mode !== 'frozen') {
      const { held } = pair;
      pair.held = [];
      for (const { to, chunk } of held) forward(pair, to, chunk);
    }
  };
  const server = createServer((client) => {
    const pair: Pair = { client, target: connect(targetPort, '127.0.0.1'), held: [] };
    const { target } = pair;
    pairs.add(pair);
    client.on('data', (chunk: Buffer) => forward(pair, target, chunk));
    target.on('data', (chunk: Buffer) => forward(pair, client, chunk));
    // What a client had sent before it gave up is still on its way.
    client.on('close', () => pair.held.length === 0 && target.destroy());
    target.on('close', () => {
      pairs.delete(pair);
      client.destroy();
    });
    for (const socket of [client, target]) socket.on('error', () => undefined);
    apply(pair);
  });

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    set: (next) => {
      mode = next;
      pairs.forEach(apply);
    },
    close: async () => {
      mode = 'cut';
      pairs.forEach(apply);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export interface DeafPort {
  readonly port: number;
  close(): void;
}

/** To connect to it hangs, as to a node without power: its process is stopped, and the kernel's queue for it is full. */
export async function createDeafPort(): Promise<DeafPort> {
  const program =
    "const server = require('node:net').createServer();" +
    "server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port));";
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  const queued: Socket[] = [];
  const isAnswered = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      queued.push(socket);
      const cancel = systemClock.after(200, () => resolve(false));
      socket.once('connect', () => {
        cancel();
        resolve(true);
      });
    });
  while (await isAnswered());
  return {
    port,
    close: () => {
      for (const socket of queued) socket.destroy();
      child.kill('SIGKILL');
    },
  };
}
