/**
 * Writes a few kilobytes to the disk and has them forced down. In a child, because a thread that waits for a stalled disk
 * can be neither cancelled nor killed: in this process it would take one of the four that do all file access, and hold up
 * even its exit. A shell that starts `dd` costs a millisecond a second; a second Node would cost 40 MiB.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isOutOfRoom, spareBytes, type Disks } from './disk-space.ts';

export type Write =
  | { readonly outcome: 'written' }
  /** `unable`: no write could be tried, which says nothing of the disk. */
  | { readonly outcome: 'full' | 'read-only' | 'failed' | 'unable'; readonly detail: string };

export interface DiskCanary {
  /** Resolves when the disk has answered, which may be never; at most one is to be under way. */
  write(): Promise<Write>;
  /** Ends the shell; a write that hangs ends when the disk does answer. */
  stop(): void;
}

const mebibyte = 1024 * 1024;
/** So that a disk at the edge isn't full and well by turns. */
const roomAgain = 48 * mebibyte;

/** One line in, one line out. The random bytes are for file systems that write no zeros. */
const script = `while IFS= read -r _; do
  said=$(for file; do dd if=/dev/urandom of="$file" bs=4096 count=1 conv=notrunc,fsync status=none || exit; done 2>&1) && said=written
  printf '%s\\n' "\${said//$'\\n'/ }"
done`;

/** A canary for these folders, one for each file system that the server writes to. */
export function diskCanary({ folders, segment }: Disks): DiskCanary {
  const files = folders.map((folder) => join(folder, 'disk-canary'));
  let shell: Shell | undefined;
  let stopped = false;
  let wasFull = false;

  return {
    write: async () => {
      if (stopped) return { outcome: 'unable', detail: 'stopped' };
      if (shell?.ended !== false) shell = startShell(files);
      const line = await shell.ask();
      if (line !== 'written') return { outcome: reasonOf(line), detail: line };
      // In this process, since a disk that has just answered won't keep it.
      const free = Math.min(...(await Promise.all(folders.map((folder) => spareBytes(folder, segment)))));
      wasFull = free < segment + (wasFull ? roomAgain : 0);
      return wasFull
        ? { outcome: 'full', detail: `${Math.max(0, Math.floor(free / mebibyte))} MiB left on the disk` }
        : { outcome: 'written' };
    },
    stop: () => {
      stopped = true;
      shell?.end();
    },
  };
}

interface Shell {
  readonly ended: boolean;
  ask(): Promise<string>;
  end(): void;
}

function startShell(files: readonly string[]): Shell {
  const child = spawn('bash', ['-c', script, 'disk-canary', ...files], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  let ended = false;
  let answer: (line: string) => void = () => undefined;
  const onEnd = (): void => {
    ended = true;
    answer('the shell that probes the disk has ended');
  };
  child.stdin.on('error', () => undefined);
  child.on('error', onEnd);
  child.on('exit', onEnd);
  createInterface({ input: child.stdout }).on('line', (line) => answer(line));
  return {
    get ended() {
      return ended;
    },
    ask: () =>
      new Promise((resolve) => {
        answer = resolve;
        child.stdin.write('\n');
      }),
    end: () => void child.kill('SIGKILL'),
  };
}

/** What dd complains of is the disk's; what the shell does (no dd, no more processes) is not. */
function reasonOf(message: string): 'full' | 'read-only' | 'failed' | 'unable' {
  if (!message.startsWith('dd: ')) return 'unable';
  if (isOutOfRoom(message)) return 'full';
  return message.includes('Read-only file system') ? 'read-only' : 'failed';
}

export const usualSegment = 16 * mebibyte;
