import { expect, test } from '@jest/globals';
import process from 'node:process';
import { CommandFailed, run, tryRun } from './command.ts';

test('stdout, and each line as it comes', async () => {
  const lines: string[] = [];
  expect(await run('sh', ['-c', 'echo one; echo two >&2'], { onLine: (line) => lines.push(line) })).toBe('one\n');
  expect(lines.toSorted()).toEqual(['one', 'two']);
});

test('a failure says what was run and what it said', async () => {
  await expect(run('sh', ['-c', 'echo no disk >&2; exit 3'])).rejects.toThrow(/^sh -c .* ended with 3: no disk$/);
  await expect(run('sh', ['-c', 'exit 1'])).rejects.toBeInstanceOf(CommandFailed);
  expect(await tryRun('sh', ['-c', 'exit 3'])).toMatchObject({ code: 3 });
});

test('input reaches the program; one that does not read it is no error', async () => {
  expect(await run('cat', [], { input: 'rows' })).toBe('rows');
  await run('true', [], { input: 'x'.repeat(1_000_000) });
});

test('an abort ends the children of the program too', async () => {
  const stop = new AbortController();
  let child = 0;
  const running = run('sh', ['-c', 'sleep 60 & echo $!; wait'], {
    signal: stop.signal,
    onLine: (line) => {
      child = Number(line);
      stop.abort(new Error('enough'));
    },
  });
  await expect(running).rejects.toThrow('enough');
  expect(child).toBeGreaterThan(0);
  // Gone, or a zombie that nobody has waited for yet.
  const state = await tryRun('ps', ['-o', 'stat=', '-p', String(child)], { env: process.env });
  expect(state.stdout.trim()).toMatch(/^(Z.*)?$/);
});

test('what takes too long is ended', async () => {
  await expect(run('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow('sleep 60 took more than 0.05 s and was ended');
});
