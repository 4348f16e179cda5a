import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { startContainer, whyNoContainer, type Container } from '../../hack/container/container.ts';
import { systemClock } from '../platform/clock.ts';
import { startDeadman } from './deadman.ts';
import { initScript } from './init.ts';

const limit = 1500;
/** Short of the 4 s that leadership is proven for in these tests. */
const slack = 2300;

test.each([
  [500, 4000],
  [4000, 4000],
  [9000, 4000],
])('a limit of %i ms is refused where leadership is proven for %i ms', (limitMs, proof) => {
  const log = pino({ level: 'silent' });
  expect(() => startDeadman({ limit: limitMs, proof, allowed: () => Infinity, clock: systemClock, log })).toThrow(
    /MAINSTAY_DEADMAN_SECONDS/,
  );
});

const whyNot = whyNoContainer();
const suite = whyNot === undefined ? describe : describe.skip;
suite(whyNot === undefined ? 'in a PID namespace' : `in a PID namespace [skipped: ${whyNot}]`, () => {
  let container: Container | undefined;
  let folder: string | undefined;
  afterEach(async () => {
    await container?.kill();
    if (folder) await rm(folder, { recursive: true });
    [container, folder] = [undefined, undefined];
  });

  /** Something like an agent, with something like a database whose parent is dead: nobody but the deadman can reach it. */
  const agent = `
    import { spawn } from 'node:child_process';
    const at = (path) => import(new URL(path, ${JSON.stringify(import.meta.url)}));
    const [{ startDeadman }, { systemClock }] = [await at('./deadman.ts'), await at('../platform/clock.ts')];
    const log = { warn: console.error, error: () => undefined };
    let fed = true;
    process.on('SIGUSR2', () => (fed = false));
    startDeadman({ limit: ${limit}, proof: 4000, allowed: () => (fed ? Infinity : 0), clock: systemClock, log });
    spawn('bash', ['-c', 'sleep 1001 & sleep 1002 & exit'], { stdio: 'ignore' });
    process.title = 'agent-under-test';
    setInterval(() => undefined, 1000);
    console.log('up');
  `;

  async function run(how: 'as PID 1' | 'below our PID 1'): Promise<Container> {
    folder = await mkdtemp(join(tmpdir(), 'mainstay-deadman-'));
    const init = join(folder, 'init');
    await writeFile(init, initScript);
    const node = [process.execPath, '--no-warnings', '--input-type=module', '--eval', agent];
    const started = startContainer({ argv: how === 'as PID 1' ? node : ['bash', init, ...node] });
    container = started;
    await new Promise((resolve, reject) => {
      started.child.stdout?.once('data', resolve);
      let complaint = '';
      started.child.stderr?.on('data', (text) => (complaint += String(text)));
      started.child.once('exit', () => reject(new Error(`the agent ended: ${complaint}`)));
    });
    while (databases(started).length < 2 || !deadman(started)) await systemClock.sleep(20);
    return started;
  }
  const find = (of: Container, pattern: RegExp) => of.processes().filter(({ command }) => pattern.test(command));
  const databases = (of: Container) => find(of, /^sleep 100/);
  const deadman = (of: Container) => find(of, /^bash -c limit=.*deadman/)[0];
  const stopAgent = (of: Container, signal: NodeJS.Signals): boolean =>
    process.kill(find(of, /^agent-under-test|--eval/).at(-1)?.pid ?? 0, signal);

  async function untilGone(what: () => readonly unknown[]): Promise<number> {
    const begun = systemClock.now();
    while (what().length > 0 && systemClock.now() - begun < 15_000) await systemClock.sleep(10);
    return systemClock.now() - begun;
  }

  test('fed, it leaves everything alone', async () => {
    const started = await run('below our PID 1');
    await systemClock.sleep(limit + slack);
    expect(databases(started)).toHaveLength(2);
  });

  test('a stopped PID 1 alone survives', async () => {
    const started = await run('as PID 1');
    stopAgent(started, 'SIGSTOP');
    const took = await untilGone(() => started.processes().filter(({ innerPid }) => innerPid !== 1));
    expect(took).toBeGreaterThan(limit - 600);
    expect(took).toBeLessThan(limit + slack);
    expect(started.processes().map(({ state }) => state)).toEqual(['T']);
  });

  test('below our PID 1, a stopped agent dies too and the container ends', async () => {
    const started = await run('below our PID 1');
    const ended = new Promise((resolve) => started.child.once('exit', resolve));
    stopAgent(started, 'SIGSTOP');
    expect(await untilGone(() => started.processes())).toBeLessThan(limit + slack);
    expect(await ended).toBe(137);
  });

  test('unfed, it strikes though the agent runs', async () => {
    const started = await run('below our PID 1');
    stopAgent(started, 'SIGUSR2');
    expect(await untilGone(() => databases(started))).toBeLessThan(limit + slack);
  });

  test('killed, it is replaced, and the new one strikes', async () => {
    const started = await run('as PID 1');
    const former = deadman(started)?.pid ?? 0;
    process.kill(former, 'SIGKILL');
    while ([undefined, former].includes(deadman(started)?.pid)) await systemClock.sleep(10);
    await systemClock.sleep(limit + slack);
    expect(databases(started)).toHaveLength(2);
    stopAgent(started, 'SIGSTOP');
    expect(await untilGone(() => databases(started))).toBeLessThan(limit + slack);
  });

  test('the agent’s death is everybody’s', async () => {
    const started = await run('below our PID 1');
    stopAgent(started, 'SIGKILL');
    expect(await untilGone(() => started.processes())).toBeLessThan(slack);
  });
});
