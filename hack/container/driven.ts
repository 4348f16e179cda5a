/** One real database under its engine, in a container of its own, driven by a test. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Definition, Finding } from '../../operator/api/cluster-state.ts';
import type { CopyProgress, Observation } from '../../operator/engines/engine.ts';
import type { DatabaseEffect, DatabaseState, Health } from '../../operator/ha/state.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import { insideNode, insideRepository, startContainer, type Container } from './container.ts';
import { installMissing } from '../cluster/packages.ts';
import type { TestNetwork } from './network.ts';
import type { Answer, DriverOptions, Report, TestContext } from './engine-driver.ts';

export interface Driven {
  readonly container: Container;
  /** On the machine; its file system is the instance's own where `ownDisk` was asked for. */
  readonly volume: string;
  readonly walVolume: string | undefined;
  run(effect: DatabaseEffect, limit?: number, context?: TestContext): Promise<DatabaseState>;
  observe(context?: TestContext): Promise<Observation>;
  configure(context?: TestContext): Promise<DatabaseState>;
  inspect(): Promise<DatabaseState>;
  /** What it told of the instance with its last answer. */
  standing(): Answer['standing'];
  declare(declaration: object, lacking?: readonly string[]): Promise<readonly Finding[]>;
  /** Everything told so far, newest last. */
  readonly health: readonly Health[];
  readonly changes: readonly DatabaseState[];
  readonly copied: readonly CopyProgress[];
  /** What the engine has logged, the database's own lines among it. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** Resolves with the milliseconds that it took. */
  untilHealth(status: Health['status'], limitMs: number): Promise<number>;
  /** Begins, or carries out, a program inside, as the database's user. */
  start(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): ChildProcess;
  execute(
    file: string,
    args: readonly string[],
    timeoutMs: number,
    env?: NodeJS.ProcessEnv,
  ): { readonly ok: boolean; readonly output: string };
  /** Of its data, as it is now. */
  incarnation(): string;
  remove(): Promise<void>;
}

/** What an engine answered. */
export class EngineFailed extends Error {
  readonly retryable: boolean;

  constructor(message: string, retryable: boolean) {
    super(message);
    this.name = 'EngineFailed';
    this.retryable = retryable;
  }
}

const user = 999;
/** Of a sparse file. */
const megabytes = 2000;

export interface DrivenOptions {
  readonly instance?: string;
  /** A file system of its own (ext4 on a loop device), which can be frozen; `btrfs`: one that knows quotas. */
  readonly ownDisk?: boolean | 'btrfs';
  /** The write-ahead log elsewhere: another mount, of the same disk. */
  readonly ownWalVolume?: boolean;
  readonly parameters?: Readonly<Record<string, string>>;
  /** With which an image of several versions begins. Default: the highest. */
  readonly version?: string;
  readonly bootstrap?: Definition['bootstrap'];
  /** Files for `bootstrap.postInitSql`. */
  readonly sql?: Readonly<Record<string, string>>;
  /** Where others find it; alone if absent. */
  readonly plug?: { readonly network: TestNetwork; readonly address: string };
}

const btrfs = { 'btrfs-progs': ['/usr/sbin/mkfs.btrfs', '/sbin/mkfs.btrfs', '/usr/bin/mkfs.btrfs'] };

const insideWal = '/mnt/wal';

export const testIncarnation = 'ab12cd34';

export async function drive(
  engine: DriverOptions['engine'],
  root: string,
  options: DrivenOptions = {},
): Promise<Driven> {
  const folder = await mkdtemp(path.join(tmpdir(), `mainstay-${engine}-`));
  const volume = path.join(folder, 'volume');
  if (options.ownDisk) {
    const disk = path.join(folder, 'disk');
    command('truncate', '-s', `${megabytes}M`, disk);
    if (options.ownDisk === 'btrfs') {
      await installMissing(btrfs, AbortSignal.timeout(600_000));
      command('mkfs.btrfs', '-q', disk);
    } else command('mkfs.ext4', '-q', '-F', disk);
    command('mkdir', volume);
    command('mount', '-o', 'loop', disk, volume);
    if (options.ownDisk === 'btrfs') command('btrfs', 'quota', 'enable', volume);
  } else command('mkdir', volume);
  await chown(volume, user, user);
  const walVolume = options.ownWalVolume ? path.join(folder, 'wal') : undefined;
  if (walVolume !== undefined) {
    command('mkdir', walVolume);
    await chown(walVolume, user, user);
  }

  const driverOptions: DriverOptions = {
    engine,
    instance: options.instance ?? 't-1',
    incarnation: testIncarnation,
    ...(walVolume !== undefined && { walVolume: insideWal }),
    definition: {
      ...(options.parameters && { parameters: options.parameters }),
      ...(options.version !== undefined && { version: options.version }),
      ...(options.bootstrap && { bootstrap: options.bootstrap }),
    },
    sql: options.sql ?? {},
  };
  const container = startContainer({
    root,
    user,
    // Others on this machine may run servers as well.
    ownNetwork: true,
    mounts: { [volume]: '/var/lib/mainstay', ...(walVolume !== undefined && { [walVolume]: insideWal }) },
    argv: [
      insideNode,
      '--no-warnings',
      `${insideRepository}/hack/container/engine-driver.ts`,
      JSON.stringify(driverOptions),
    ],
  });
  const { child } = container;
  const health: Health[] = [];
  const changes: DatabaseState[] = [];
  const copied: CopyProgress[] = [];
  let incarnation = testIncarnation;
  const answers = new Map<number, (report: Answer) => void>();
  let complaints = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4000);
    if (process.env['MAINSTAY_TEST_LOG']) process.stderr.write(text);
  });
  const log: Record<string, unknown>[] = [];
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    if (line.startsWith('{')) log.push(JSON.parse(line) as Record<string, unknown>);
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the driver ended with ${String(code)}: ${complaints}`)));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const report = JSON.parse(line) as Report;
      if ('ready' in report) resolve();
      else if ('health' in report) health.push(report.health);
      else if ('changed' in report) changes.push(report.changed);
      else if ('copied' in report) copied.push(report.copied);
      else if ('incarnation' in report) incarnation = report.incarnation;
      else answers.get(report.id)?.(report);
    });
  });
  let requests = 0;
  let standing: Answer['standing'] = {};
  const ask = async (request: object): Promise<Answer> => {
    const id = ++requests;
    const answered = new Promise<Answer>((resolve) => answers.set(id, resolve));
    child.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    const report = await answered;
    standing = report.standing;
    if (report.error !== undefined) throw new EngineFailed(report.error, report.retryable === true);
    return report;
  };
  const stateAfter = async (request: object): Promise<DatabaseState> => (await ask(request)).state;
  await ready;
  const first = container.processes().find(({ innerPid }) => innerPid === 1);
  if (options.plug) options.plug.network.plug(first?.pid ?? 0, options.plug.address);
  else command('nsenter', '--target', String(first?.pid), '--net', 'ip', 'link', 'set', 'lo', 'up');

  const enter = (own: readonly string[]): readonly string[] => [
    ...['--target', String(container.processes().find(({ innerPid }) => innerPid === 1)?.pid), ...own],
    ...['--root', '--wd=/', '--setuid', String(user), '--setgid', String(user), '--'],
  ];
  const usual = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

  return {
    container,
    volume,
    walVolume,
    health,
    changes,
    copied,
    log,
    run: (effect, limit, context) => stateAfter({ effect, limit, context }),
    configure: (context) => stateAfter({ configure: true, context }),
    standing: () => standing,
    inspect: () => stateAfter({ inspect: true }),
    observe: async (context) => {
      const { observation } = await ask({ observe: true, context });
      if (!observation) throw new Error('nothing observed');
      return observation;
    },
    declare: async (declaration, lacking = []) =>
      (await ask({ declare: JSON.stringify(declaration), lacking })).findings ?? [],
    untilHealth: async (status, limitMs) => {
      const begun = systemClock.now();
      while ((health.at(-1)?.status ?? 'well') !== status) {
        if (systemClock.now() - begun > limitMs) throw new Error(`not ${status} within ${limitMs} ms`);
        await systemClock.sleep(20);
      }
      return systemClock.now() - begun;
    },
    incarnation: () => incarnation,
    execute: (file, args, timeoutMs, env = {}) => {
      const done = spawnSync('nsenter', [...enter(['--mount', '--pid', '--net']), file, ...args], {
        encoding: 'utf8',
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        env: { ...usual, ...env },
      });
      return { ok: done.status === 0, output: (done.stdout + done.stderr).trim() };
    },
    start: (file, args, env = {}) =>
      spawn('nsenter', [...enter(['--mount']), file, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...usual, ...env },
      }),
    remove: async () => {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      await container.kill();
      await ended;
      if (options.ownDisk) command('umount', volume);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function command(file: string, ...args: readonly string[]): void {
  const done = spawnSync(file, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${done.stderr || String(done.error)}`);
}
