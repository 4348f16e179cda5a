import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

test('a reader that stalls holds nobody up; what had to be left out is said, and what it reads is whole', async () => {
  const module = new URL('log.ts', import.meta.url).href;
  const program = `
    import { createLogger } from ${JSON.stringify(module)};
    const log = createLogger('test');
    for (let n = 0; n < 20000; n++) log.info({ n }, 'x'.repeat(200));
    process.stderr.write('through');
    const end = () => process.stdout.writableLength > 0 ? setTimeout(end, 10) : log.info('last');
    process.stdin.once('data', end);
  `;
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], { stdio: 'pipe' });
  const lines: { n?: number; msg: string }[] = [];
  try {
    await once(child.stderr, 'data');
    child.stdin.end('go on');
    // Only now does anybody read.
    const reader = createInterface({ input: child.stdout });
    reader.on('line', (line) => lines.push(JSON.parse(line) as { msg: string }));
    await once(reader, 'close');
  } finally {
    child.kill('SIGKILL');
  }
  const told = lines.filter(({ n }) => n !== undefined).map(({ n }) => n);
  expect(told).toEqual(told.map((_, index) => index));
  expect(lines.slice(told.length).map(({ msg }) => msg)).toEqual([
    `${20_000 - told.length} log lines were left out: standard output was not read`,
    'last',
  ]);
}, 30_000);
