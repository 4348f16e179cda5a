/** A process as PID 1 of namespaces of its own, on the file system of an image: what a container is to a process, for tests. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

export interface ContainerOptions {
  /** Its file system, read-only. Undefined: the machine's own. */
  readonly root?: string;
  /** Folders of the machine and where they appear. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** uid and gid; the tests' own if absent. */
  readonly user?: number;
  /** A network of its own, with nothing in it yet. */
  readonly ownNetwork?: boolean;
  /** The network of this process instead, as the containers of one Pod, or the services of one machine, share theirs. */
  readonly networkOf?: number;
  readonly argv: readonly string[];
}

export interface Container {
  readonly child: ChildProcess;
  /** Living processes in it as this machine numbers them, zombies left out. */
  processes(): readonly ContainerProcess[];
  /** Dead processes that nobody has reaped. */
  zombies(): readonly ContainerProcess[];
  /** Kills PID 1 and with it everything; resolves when all is gone. */
  kill(): Promise<void>;
}

export interface ContainerProcess {
  readonly pid: number;
  /** Its number inside. */
  readonly innerPid: number;
  readonly state: string;
  readonly command: string;
}

/** Where the repository and its Node are inside, if there is a `root`. */
export const insideRepository = '/mnt/repository';
export const insideNode = '/mnt/node/node';

const repository = path.join(import.meta.dirname, '../..');

/** Why no container can be made here, or undefined. */
export function whyNoContainer(): string | undefined {
  const tried = spawnSync('unshare', ['--mount', '--pid', '--fork', '--mount-proc', 'true'], { encoding: 'utf8' });
  return tried.status === 0 ? undefined : `namespaces are not permitted here: ${tried.stderr.trim()}`;
}

/** The first arguments: root, user, then pairs of mounts, then `--` and what to run. Its death signals make an orphan impossible. */
const script = `set -eu
root=$1 user=$2; shift 2
mount --make-rprivate /
if [ -n "$root" ]; then
  mount --bind "$root" "$root"
  mount -o remount,bind,ro "$root"
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  for folder in tmp run mnt; do mount -t tmpfs tmpfs "$root/$folder"; done
  chmod 1777 "$root/tmp" "$root/run"
else
  mount -t proc proc /proc
fi
while [ "$1" != -- ]; do
  mkdir -p "$root$2" && mount --bind "$1" "$root$2"; shift 2
done
shift
exec chroot "\${root:-/}" setpriv --reuid "$user" --regid "$user" --clear-groups --pdeathsig KILL "$@"`;

export function startContainer({
  root,
  mounts = {},
  user = 0,
  ownNetwork = false,
  networkOf,
  argv,
}: ContainerOptions): Container {
  const all = root
    ? { [repository]: insideRepository, [path.dirname(process.execPath)]: path.dirname(insideNode), ...mounts }
    : mounts;
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL'],
      ...(networkOf === undefined ? [] : ['nsenter', '--target', String(networkOf), '--net']),
      ...['unshare', '--mount', '--pid', '--fork', '--kill-child'],
      ...(ownNetwork ? ['--net'] : []),
      '--',
      ...['bash', '-c', script, 'container', root ?? '', String(user)],
      ...Object.entries(all).flat(),
      '--',
      ...argv,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'exit');
  let namespace: string | undefined;

  function everything(): readonly ContainerProcess[] {
    namespace ??= namespaceBelow(child.pid);
    if (namespace === undefined) return [];
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          if (readlinkSync(`/proc/${name}/ns/pid`) !== namespace) return [];
          return [describe(Number(name))];
        } catch {
          return [];
        }
      });
  }

  return {
    child,
    processes: () => everything().filter(({ state }) => state !== 'Z' && state !== 'X'),
    zombies: () => everything().filter(({ state }) => state === 'Z'),
    kill: async () => {
      for (const { pid } of everything().filter(({ innerPid }) => innerPid === 1)) process.kill(pid, 'SIGKILL');
      if (child.exitCode !== null || child.signalCode !== null) return;
      // Before it has got as far as its namespaces there is only this one.
      if (namespace === undefined) child.kill('SIGKILL');
      await ended;
    },
  };
}

function namespaceBelow(pid: number | undefined): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid_for_children`) === readlinkSync('/proc/self/ns/pid')
      ? undefined
      : readlinkSync(`/proc/${pid}/ns/pid_for_children`);
  } catch {
    return undefined;
  }
}

function describe(pid: number): ContainerProcess {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
  return {
    pid,
    innerPid: Number(field('NSpid').split(/\s+/).at(-1)),
    state: field('State').slice(0, 1),
    command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || field('Name'),
  };
}
