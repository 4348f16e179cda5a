/** What a process takes of the machine, by the kernel's account. */
import { readFile } from 'node:fs/promises';

export interface ProcessCost {
  readonly residentMiB: number;
  /** Of them, pages of files, which others may share. */
  readonly sharedMiB: number;
  /** Since it began, with those of its children that have ended and been waited for. */
  readonly cpuSeconds: number;
}

/** Linux counts a process's time in hundredths of a second on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** Of a process that has ended meanwhile: nothing. */
export async function processCost(pid: number): Promise<ProcessCost> {
  const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  const [status, stat] = await Promise.all([read('status'), read('stat')]);
  const mib = (text: string, field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  // Behind the command in brackets; user and system time are fields 14 to 17, those of children last.
  const fields = stat.split(') ')[1]?.split(' ') ?? [];
  const ticks = [11, 12, 13, 14].reduce((total, index) => total + Number(fields[index] ?? 0), 0);
  return {
    residentMiB: mib(status, 'VmRSS'),
    sharedMiB: mib(status, 'RssFile'),
    cpuSeconds: ticks / ticksPerSecond,
  };
}
