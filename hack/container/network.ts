/** A switch between containers that have a network of their own. It lives in a namespace of its own, and ends with the test. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export interface TestNetwork {
  /** Gives the container of this process (as the machine numbers it) a cable and an address. */
  plug(pid: number, address: string): void;
  /** Pulls the cable of this address out: nothing arrives any more, and nobody is told. */
  cut(address: string): void;
  mend(address: string): void;
  /** Of a container that is no more: its network may live on for minutes, as long as a connection in it is not closed. */
  unplug(address: string): void;
  remove(): Promise<void>;
}

/** Addresses of 10.9.0.0/24. */
export async function testNetwork(): Promise<TestNetwork> {
  const holder = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--net', 'bash', '-c', 'echo made; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const inside = (pid: number | undefined, ...args: readonly string[]): void =>
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
    unplug: (address) => {
      const args = ['--target', String(holder.pid), '--net', 'ip', 'link', 'del', port(address)];
      spawnSync('nsenter', args, { stdio: 'ignore' }); // gone already
    },
    remove: async () => {
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
    },
  };
}

function ip(file: string, ...args: readonly string[]): void {
  const done = spawnSync(file, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${done.stderr || String(done.error)}`);
}
