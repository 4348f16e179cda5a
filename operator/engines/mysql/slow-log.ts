/** The slow log among the agent's lines: MySQL writes it to files in memory, which are read here and replaced before they grow. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../platform/clock.ts';
import { stdoutIsBehind, type Logger } from '../../platform/log.ts';
import { followLog } from '../log-files.ts';
import type { Layout } from './layout.ts';
import { slowRecordOf } from './slow-record.ts';
import type { Session } from './sql.ts';

export interface SlowLog {
  /** A new one each time, later in order than all before. */
  nextFile(): string;
  /** Lets the server go on in another file if this one is large. */
  rotate(session: Session): Promise<void>;
}

const largest = 4 * 1024 * 1024;
/** Milliseconds after its last line: a statement has no mark for its end. */
const pause = 200;
/** Lines of one statement; what follows is left out. */
const mostLines = 1000;

export function followSlowLog(layout: Layout, clock: Clock, agentLog: Logger): SlowLog {
  const directory = join(layout.run, 'log');
  // How slow is slow is the server's matter, not that of the level of the agent's lines.
  const log = agentLog.child({ logger: 'mysql-slow' }, { level: 'trace' });
  let lines: string[] = [];
  let cancel = (): void => undefined;
  let file: string | undefined;
  let last = 0;

  function tell(): void {
    const record = slowRecordOf(lines);
    lines = [];
    if (!record) return;
    const { time, statement, ...fields } = record;
    log.info({ time, slow: fields }, statement);
  }

  followLog(
    directory,
    { slow: /^slow-\d+\.log$/ },
    {
      line: (_, text) => {
        cancel();
        if (text.startsWith('# Time: ')) tell();
        if (lines.length < mostLines) lines.push(text);
        cancel = clock.after(pause, tell);
      },
      lost: (bytes) => log.warn({ bytes }, 'a part of MySQL’s slow log was left out: standard output was not read'),
      busy: stdoutIsBehind,
    },
    clock,
  );

  function nextFile(): string {
    last = Math.max(clock.wall().getTime(), last + 1);
    file = join(directory, `slow-${last}.log`);
    return file;
  }

  return {
    nextFile,
    rotate: async (session) => {
      if (file === undefined || (statSync(file, { throwIfNoEntry: false })?.size ?? 0) < largest) return;
      await session.query('SET GLOBAL slow_query_log_file = ?', [nextFile()]);
    },
  };
}
