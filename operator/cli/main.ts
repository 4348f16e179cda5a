/** kubectl-mainstay: `kubectl mainstay …`, with the user's own rights. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { systemClock } from '../platform/clock.ts';
import { exitCodes, type ExitCode, type World } from './command.ts';
import { commands } from './commands.ts';
import { connect } from './connect.ts';
import { run } from './run.ts';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('interrupted')));
process.once('SIGTERM', () => stop.abort(new Error('terminated')));
// `| head` may end before we do.
process.stdout.on('error', () => process.exit(exitCodes.ok));

const world: World = {
  connect,
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  kubectl: (args) =>
    new Promise<ExitCode>((resolve, reject) => {
      const child = spawn('kubectl', args, { stdio: 'inherit' });
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? exitCodes.error));
    }),
  clock: systemClock,
  signal: stop.signal,
};

process.exitCode = await run(commands, process.argv.slice(2), world);
// Kept-alive connections would hold the process.
process.stdout.write('', () => process.exit());
