import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startContainer, whyNoContainer, type Container } from '../../hack/container/container.ts';
import { systemClock } from '../platform/clock.ts';
import { initScript, ownsNamespace } from './init.ts';

test('outside a container nothing is ours', () => expect(ownsNamespace()).toBe(false));

const whyNot = whyNoContainer();
const suite = whyNot === undefined ? describe : describe.skip;
suite(whyNot === undefined ? 'as PID 1' : `as PID 1 [skipped: ${whyNot}]`, () => {
  let container: Container | undefined;
  let folder: string | undefined;
  afterEach(async () => {
    await container?.kill();
    if (folder) await rm(folder, { recursive: true });
    [container, folder] = [undefined, undefined];
  });

  async function run(program: string): Promise<Container> {
    folder = await mkdtemp(join(tmpdir(), 'mainstay-init-'));
    await writeFile(join(folder, 'init'), initScript);
    container = startContainer({ argv: ['bash', join(folder, 'init'), process.execPath, '--eval', program] });
    return container;
  }
  const exitOf = (of: Container) => new Promise((resolve) => of.child.once('exit', resolve));
  const line = (of: Container) => new Promise((resolve) => of.child.stdout?.once('data', resolve));

  test('orphans are reaped when they end', async () => {
    const started = await run(`
      for (let n = 0; n < 30; n++) require('child_process').spawn('bash', ['-c', 'sleep 0.3 & exit'], { stdio: 'ignore' });
      setTimeout(() => console.log('up'), 300); setInterval(() => undefined, 1000);`);
    await line(started);
    while (started.processes().some(({ command }) => command.startsWith('sleep'))) await systemClock.sleep(20);
    await systemClock.sleep(100);
    expect(started.zombies()).toEqual([]);
  });

  test('SIGTERM reaches the agent, which ends in its own time; its exit code is the container’s', async () => {
    const started = await run(`
      process.on('SIGTERM', () => setTimeout(() => process.exit(7), 300));
      setInterval(() => undefined, 1000); console.log(process.env.MAINSTAY_INIT);`);
    expect(String(await line(started))).toBe('1\n');
    const ended = exitOf(started);
    process.kill(started.processes().find(({ innerPid }) => innerPid === 1)?.pid ?? 0, 'SIGTERM');
    expect(await ended).toBe(7);
  });

  test('SIGUSR2 reaches the agent, as often as it is sent, and ends nothing', async () => {
    const started = await run(`
      process.on('SIGUSR2', () => console.log('asked'));
      setInterval(() => undefined, 1000); console.log('up');`);
    await line(started);
    for (let times = 0; times < 3; times += 1) {
      process.kill(started.processes().find(({ innerPid }) => innerPid === 1)?.pid ?? 0, 'SIGUSR2');
      expect(String(await line(started))).toBe('asked\n');
    }
    expect(started.child.exitCode).toBeNull();
  });

  test('an agent that is killed ends the container', async () => {
    const started = await run(`console.log('up'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200)`);
    expect(await exitOf(started)).toBe(137);
  });
});
