import type { Command } from './command.ts';
import { completion } from './completion.ts';
import { explain } from './explain.ts';
import { logs } from './logs.ts';
import { mysql } from './mysql.ts';
import { operations } from './operate.ts';
import { psql } from './psql.ts';
import { report } from './report.ts';
import { status } from './status.ts';

/** In the order in which help shows them. */
export const commands: readonly Command[] = [status, explain, ...operations, logs, psql, mysql, report, completion];
