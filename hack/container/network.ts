/** A switch between containers that have a network of their own. It lives in a namespace of its own, and ends with the test. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface TestNetwork {
  /** Gives the container of this process (as the machine numbers it) a cable and an address. */
  plug(pid: number, address: string): void;
  /** Pulls the cable of this address out: nothing arrives any more, and nobody is told. */
  cut(address: string): void;
  mend(address: string): void;
  /** A port of this machine's loopback that leads to that one in the network. */
  forward(address: string, port: number): Promise<number>;
  /** Of a container that is no more: its network may live on for minutes, as long as a connection in it is not closed. */
  unplug(address: string): void;
  remove(): Promise<void>;
}

/** A network of its own for who joins it (`networkOf`, `plug`), with nothing in it yet. */
export interface EmptyNetwork {
  /** Of the process that holds it. */
  readonly pid: number;
  remove(): Promise<void>;
}

export async function emptyNetwork(): Promise<EmptyNetwork> {
  const holder = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--net', 'bash', '-c', 'echo made; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'exit');
  await once(holder.stdout, 'data');
  return {
    pid: holder.pid ?? 0,
    remove: async () => {
      holder.kill('SIGKILL');
      await ended;
    },
  };
}

/** Addresses of 10.9.0.0/24. */
export async function testNetwork(): Promise<TestNetwork> {
  const holder = await emptyNetwork();
  const inside = (pid: number, ...args: readonly string[]): void =>
    ip('nsenter', '--target', String(pid), '--net', 'ip', ...args);
  const port = (address: string): string => `port${address.split('.').at(-1) ?? ''}`;
  inside(holder.pid, 'link', 'add', 'switch', 'type', 'bridge');
  inside(holder.pid, 'link', 'set', 'switch', 'up');
  inside(holder.pid, 'addr', 'add', '10.9.0.1/24', 'dev', 'switch');
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-network-'));
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  /** Ports of this machine, by where they lead. */
  const doors = new Map<string, Promise<number>>();
  const lead = async (address: string, port: number): Promise<number> => {
    // Files know no network namespaces: a socket among them is the door between the two.
    const door = path.join(folder, `${address}-${port}`);
    const argv = [
      '--target',
      String(holder.pid),
      '--net',
      process.execPath,
      '--eval',
      relay,
      door,
      address,
      String(port),
    ];
    const relaying = spawn('setpriv', ['--pdeathsig', 'KILL', 'nsenter', ...argv], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await Promise.race([
      once(relaying.stdout, 'data'),
      once(relaying, 'exit').then(() => {
        throw new Error(`nothing leads to ${address}:${port}`);
      }),
    ]);
    const server = createServer((socket) => {
      const beyond = connect(door);
      for (const [one, other] of [
        [socket, beyond],
        [beyond, socket],
      ] as const) {
        sockets.add(one);
        one
          .on('error', () => undefined)
          .once('close', () => {
            sockets.delete(one);
            other.destroy();
          });
        one.pipe(other);
      }
    });
    server.once('close', () => relaying.kill('SIGKILL'));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  return {
    plug: (pid, address) => {
      const name = port(address);
      inside(holder.pid, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
      inside(holder.pid, 'link', 'set', name, 'master', 'switch', 'up');
      inside(pid, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      inside(pid, 'link', 'set', 'eth0', 'up');
      inside(pid, 'link', 'set', 'lo', 'up');
    },
    cut: (address) => inside(holder.pid, 'link', 'set', port(address), 'nomaster'),
    mend: (address) => inside(holder.pid, 'link', 'set', port(address), 'master', 'switch'),
    forward: (address, port) => {
      const to = `${address}-${port}`;
      const made = doors.get(to) ?? lead(address, port);
      doors.set(to, made);
      return made;
    },
    unplug: (address) => {
      const args = ['--target', String(holder.pid), '--net', 'ip', 'link', 'del', port(address)];
      spawnSync('nsenter', args, { stdio: 'ignore' }); // gone already
    },
    remove: async () => {
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
      await rm(folder, { recursive: true, force: true });
      await holder.remove();
    },
  };
}

/** Its arguments: the socket to listen at, then where to lead. */
const relay = `
const [door, host, port] = process.argv.slice(-3);
const { connect, createServer } = require('node:net');
createServer((socket) => {
  const beyond = connect(Number(port), host);
  for (const [one, other] of [[socket, beyond], [beyond, socket]]) {
    one.on('error', () => undefined).once('close', () => other.destroy());
    one.pipe(other);
  }
}).listen(door, () => console.log('ready'));
`;

function ip(file: string, ...args: readonly string[]): void {
  const done = spawnSync(file, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${done.stderr || String(done.error)}`);
}
