import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pino } from 'pino';
import { systemClock } from '../platform/clock.ts';
import { holdVolume, openVolume, untilUnlocked } from './volume.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mainstay-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('vow and incarnation outlive the agent; a vow never goes back', async () => {
  const first = await openVolume(directory);
  await first.writeVow(7);
  await first.writeVow(3);
  const again = await openVolume(directory);
  expect([again.vow(), again.incarnation()]).toEqual([7, first.incarnation()]);
  const renewed = await again.renewIncarnation();
  expect(renewed).not.toBe(first.incarnation());
  expect((await openVolume(directory)).vow()).toBe(7);
});

test('changes at the same time don’t forget one another', async () => {
  const volume = await openVolume(directory);
  const before = volume.incarnation();
  await Promise.all([volume.writeVow(4), volume.renewIncarnation(), volume.writeVow(9)]);
  const again = await openVolume(directory);
  expect(again.vow()).toBe(9);
  expect(again.incarnation()).not.toBe(before);
});

test('a damaged file stops the instance instead of making it forget its vow', async () => {
  await writeFile(join(directory, 'instance.json'), '{"vow":');
  await expect(openVolume(directory)).rejects.toThrow();
});

test('a process that inherited the lock keeps a second agent out until it is gone', async () => {
  const lock = join(directory, 'lock');
  const holder = spawn('bash', ['-c', 'exec 9>>"$1"; flock 9; echo held; exec sleep 60', 'x', lock], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const waiting = untilUnlocked(lock, systemClock, pino({ level: 'silent' }), AbortSignal.timeout(10_000));
  const early = await Promise.race([waiting.then(() => 'unlocked'), systemClock.sleep(500).then(() => 'waiting')]);
  expect(early).toBe('waiting');
  holder.kill('SIGKILL');
  await waiting;
});

describe('the lock that makes an agent the only one on its volume', () => {
  const agents: ChildProcessByStdio<null, Readable, null>[] = [];
  afterEach(() => agents.splice(0).forEach((agent) => agent.kill('SIGKILL')));

  interface Agent {
    readonly pid: number;
    /** What it says next: that it waits, that it holds the volume, that it has lost it. */
    says(): Promise<string>;
    die(): void;
  }

  /** A process that takes the volume as an agent does. */
  function startAgent(): Agent {
    const modules = ['volume.ts', '../platform/clock.ts'].map((path) => new URL(path, import.meta.url).href);
    const program = `
      const [{ holdVolume }, { systemClock }] = await Promise.all(${JSON.stringify(modules)}.map((url) => import(url)));
      const say = (word) => console.log(word);
      const onLost = () => { say('lost'); process.exit(70); };
      const lock = ${JSON.stringify(join(directory, 'agent.lock'))};
      await holdVolume(lock, systemClock, { warn: () => say('waits') }, onLost, AbortSignal.timeout(30_000));
      say('holds');
      setInterval(() => undefined, 1_000);
    `;
    const agent = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    agents.push(agent);
    const lines = createInterface(agent.stdout)[Symbol.asyncIterator]();
    return {
      pid: agent.pid ?? 0,
      says: async () => String((await lines.next()).value),
      die: () => agent.kill('SIGKILL'),
    };
  }

  test('a second agent waits for as long as the first one lives, however that ends', async () => {
    const first = startAgent();
    expect(await first.says()).toBe('holds');
    const second = startAgent();
    expect(await second.says()).toBe('waits');
    expect(await second.says()).toBe('waits');
    first.die();
    let word = await second.says();
    while (word === 'waits') word = await second.says();
    expect(word).toBe('holds');
  });

  test('who waits can be told to give up', async () => {
    expect(await startAgent().says()).toBe('holds');
    const lock = join(directory, 'agent.lock');
    const never = holdVolume(lock, systemClock, pino({ level: 'silent' }), () => undefined, AbortSignal.timeout(300));
    await expect(never).rejects.toThrow('timeout');
  });

  test('an agent whose lock is taken away learns of it', async () => {
    const agent = startAgent();
    expect(await agent.says()).toBe('holds');
    const [holder] = (await readFile(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8')).split(' ');
    process.kill(Number(holder), 'SIGKILL');
    expect(await agent.says()).toBe('lost');
  });
});
