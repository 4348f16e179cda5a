import { expect, test } from '@jest/globals';
import { run } from './command.ts';

const signal = new AbortController().signal;

test('returns what the tool wrote', async () => {
  expect(await run('printf', ['%s', 'here'], { signal })).toBe('here');
});

test('a failure shows how the tool ended and what it said', async () => {
  await expect(run('sh', ['-c', 'echo no space left >&2; exit 3'], { signal })).rejects.toThrow(
    /sh -c ended with 3:\nno space left/,
  );
});

test('ends the tool with everything that it has started, and gives the reason', async () => {
  const stop = new AbortController();
  // The shell's child holds stdout: the promise can settle only when it is gone too.
  const running = run('sh', ['-c', 'sleep 600; true'], { signal: stop.signal });
  stop.abort(new Error('stopped by a test'));
  await expect(running).rejects.toThrow('stopped by a test');
});
