/** A switch between containers that have a network of their own. It lives in a namespace of its own, and ends with the test. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export interface TestNetwork {
  /** Gives the container of this process (as the machine numbers it) a cable and an address. */
  plug(pid: number, address: string): void;
  /** Pulls the cable of this address out: nothing arrives any more, and nobody is told. */
  cut(address: string): void;
  mend(address: string): void;
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
    remove: () => holder.remove(),
  };
}

function ip(file: string, ...args: readonly string[]): void {
  const done = spawnSync(file, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${done.stderr || String(done.error)}`);
}
