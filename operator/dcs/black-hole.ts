/** A TCP proxy for tests that fails as networks do. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

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
