/** What pg_controldata tells of a data directory on which no server need run. */
import { join } from 'node:path';
import { MainstayError } from '../../platform/errors.ts';
import { command } from '../command.ts';
import type { Layout } from './layout.ts';

/** Milliseconds. */
const limit = 5000;

export const controlData = ({ bin, data }: Pick<Layout, 'bin' | 'data'>, signal: AbortSignal): Promise<string> =>
  command(join(bin, 'pg_controldata'), ['-D', data], { signal: AbortSignal.any([signal, AbortSignal.timeout(limit)]) });

export const systemIdentifierIn = (control: string): string | undefined =>
  /system identifier:\s+(\d+)/.exec(control)?.[1];

export async function systemIdentifierOf(layout: Layout, data: string, signal: AbortSignal): Promise<string> {
  const identifier = systemIdentifierIn(await controlData({ bin: layout.bin, data }, signal));
  if (identifier === undefined) throw new MainstayError('DataDirectoryUnusable', `${data} has no system identifier`);
  return identifier;
}

export const wasStoppedCleanly = (control: string): boolean => /^Database cluster state:\s+shut down$/m.test(control);
