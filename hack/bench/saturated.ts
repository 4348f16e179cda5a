/** Does other work on the machine make a cluster change its primary? */
import { spawn, type ChildProcess } from 'node:child_process';
import { cpus } from 'node:os';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { seconds } from '../testbed/until.ts';
import { startWriter } from '../testbed/writer.ts';
import { agentLogs } from './agent-logs.ts';
import type { Measurement } from './scenario.ts';

const defaultMinutes = 30;
const patienceMs = seconds(60);
/** What agents say when a deadline was near or missed. */
const telling = /lost|expired|could not|claim|promis|fence|deposed|no longer be proven|unknown|late/;
const shownLines = 40;

export const saturated: Measurement = {
  kind: 'measurement',
  name: 'saturated',
  title: 'All cores busy with other work',
  measure: async (arena, { minutes = defaultMinutes }) => {
    await arena.whole();
    const primary = await arena.primary();
    const node = (await arena.nodes.names()).find((name) => name !== primary.node) ?? primary.node;
    const writer = await startWriter(arena, {
      namespace: arena.orders.namespace,
      cluster: arena.orders.name,
      node,
      table: `writes_${Date.now()}`,
      reach: 'direct',
    });
    try {
      await writer.acknowledgedAgain({ within: patienceMs });
      const before = (await arena.runtime()).epoch;
      const began = new Date();
      const loops = cpus().map((_, core) => busyLoop(core));
      try {
        await writer.mark('busy');
        await delay(seconds(60 * minutes), undefined, { signal: arena.signal });
      } finally {
        loops.forEach((loop) => loop.kill('SIGKILL'));
      }
      const ended = new Date();
      const state = await writer.state();
      await arena.whole();
      const epochs = (await arena.runtime()).epoch - before;
      const report = await writer.stop();
      const longest = state.marks['busy']?.longestGap?.milliseconds ?? 0;
      const logs = (await agentLogs(arena.orders.namespace, began, ended)).filter(
        ({ msg, fields }) => fields['logger'] !== 'postgres' && telling.test(msg),
      );
      return {
        passed: epochs === 0 && report.lost === 0,
        lines: [
          `${minutes} min with a busy loop on each of ${loops.length} cores: ${epochs} changes of primary (goal 0)`,
          `${state.marks['busy']?.acked ?? 0} writes acknowledged, ${report.lost} lost, longest gap ${longest} ms, ` +
            `${state.gaps.filter(({ milliseconds }) => milliseconds >= 1_000).length} gaps of a second and more`,
        ],
        data: {
          minutes,
          epochs,
          longest,
          gaps: state.gaps,
          errors: state.errors,
          logs: logs
            .slice(0, shownLines)
            .map(({ at, instance, msg }) => `${new Date(at).toISOString()} ${instance} ${msg}`),
        },
      };
    } finally {
      await writer.remove();
    }
  },
};

/** As strong as a node (hack/cluster/cgroups.ts): with less it would leave them enough. */
function busyLoop(core: number): ChildProcess {
  return spawn('nice', ['-n', '-10', 'taskset', '--cpu-list', String(core), process.execPath, '-e', 'for (;;);'], {
    stdio: 'ignore',
  });
}
