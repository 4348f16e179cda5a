import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** A process that works, and offers its profile. */
const program = (folder: string): string => `
import { profileWhenAsked } from ${JSON.stringify(path.join(import.meta.dirname, 'profile.ts'))};
import { systemClock } from ${JSON.stringify(path.join(import.meta.dirname, 'clock.ts'))};
import { createLogger } from ${JSON.stringify(path.join(import.meta.dirname, 'log.ts'))};
profileWhenAsked({ program: 'test', folder: ${JSON.stringify(folder)}, milliseconds: 300 }, systemClock, createLogger('test'));
function busyWork() { let kept = []; for (let i = 0; i < 20_000; i += 1) kept.push({ text: String(i) }); return kept; }
setInterval(busyWork, 5);
console.log('ready');
`;

test('SIGUSR2 leaves profiles of CPU and heap, readable by nobody else, and the process works on', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-profile-'));
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '--eval', program(folder)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const until = async (word: string): Promise<void> => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error(`it ended before it said “${word}”`);
        if (value.includes(word)) return;
      }
    };
    await until('ready');
    for (const time of [1, 2]) {
      child.kill('SIGUSR2');
      await until('"profiling"');
      await until('"profiled"');
      expect((await readdir(folder)).length).toBe(2 * time);
    }
    const [name = ''] = (await readdir(folder)).filter((file) => file.endsWith('.cpuprofile'));
    const cpu = JSON.parse(await readFile(path.join(folder, name), 'utf8')) as {
      readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
    };
    expect(cpu.nodes.map(({ callFrame }) => callFrame.functionName)).toContain('busyWork');
    const heap = await readFile(path.join(folder, name.replace('.cpuprofile', '.heapprofile')), 'utf8');
    expect(JSON.parse(heap)).toHaveProperty('head');
    expect(child.exitCode).toBeNull();
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
