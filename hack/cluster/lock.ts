/**
 * One command at a time. The lock itself is an abstract Unix socket, which the kernel frees when its holder dies, however it
 * dies; a file beside it says who holds it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { dirname } from 'node:path';

export interface LockOptions {
  /** Wait for the holder to finish instead of failing at once. */
  readonly wait?: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface Holder {
  readonly pid: number;
  readonly since: string;
  readonly command: string;
}

const queues = new Map<string, Promise<unknown>>();

/** Runs `work` under the lock of that file. Calls from this process queue up; a second process fails and learns who holds it. */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const turn = (queues.get(file) ?? Promise.resolve()).then(() => holdingLock(file, work, options));
  queues.set(
    file,
    turn.catch(() => undefined),
  );
  return turn;
}

async function holdingLock<T>(file: string, work: () => Promise<T>, options: LockOptions): Promise<T> {
  const server = await acquire(file, options);
  const holder: Holder = { pid: process.pid, since: new Date().toISOString(), command: commandLine() };
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(holder));
    return await work();
  } finally {
    rmSync(file, { force: true });
    await new Promise((resolve) => server.close(resolve));
  }
}

async function acquire(file: string, options: LockOptions): Promise<Server> {
  for (;;) {
    options.signal?.throwIfAborted();
    const server = await listen(`\0${file}`);
    if (server !== undefined) return server;
    if (options.wait !== true) throw new Error(`${describeHolder(file)}. Wait for it to finish, or end it.`);
    await closed(`\0${file}`, options.signal);
  }
}

function listen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const waiting = new Set<{ destroy: () => void }>();
    const server = createServer((socket) => {
      waiting.add(socket.on('error', () => undefined).unref());
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => {
      server.unref();
      const close = server.close.bind(server);
      // Whoever waits for us learns it from the end of the connection.
      server.close = (done) => {
        waiting.forEach((socket) => socket.destroy());
        return close(done);
      };
      resolve(server);
    });
  });
}

/** Resolves when the holder lets go. */
function closed(name: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(name);
    const end = (): void => {
      signal?.removeEventListener('abort', end);
      socket.destroy();
      resolve();
    };
    signal?.addEventListener('abort', end, { once: true });
    socket.once('error', end).once('close', end);
  });
}

function describeHolder(file: string): string {
  try {
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Holder;
    return `Locked by process ${holder.pid} since ${holder.since}: ${holder.command}`;
  } catch {
    return `Locked by a process that started this moment (${file})`;
  }
}

function commandLine(): string {
  return process.argv.slice(1).join(' ');
}
