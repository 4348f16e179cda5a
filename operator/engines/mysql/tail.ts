/**
 * The end of a crashed primary's log that nobody else has. A start would commit all of it. Cut off before the start, InnoDB
 * rolls it back (mysql-ha.md §3.5, mysql-lab.md §9). Pure, but for the bytes: whether that may be done is a table.
 */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CutTail, type Epoch, type HistoryEntry } from '../../api/cluster-state.ts';
import { contains, formatGtidSet, parseGtidSet, type GtidSet } from '../../ha/gtid-set.ts';
import { exists, replaceFile } from '../files.ts';
import { gtidsIn, type BinaryLog } from './binlog.ts';
import type { Layout } from './layout.ts';
import { timelineOf } from './log-end.ts';
import { beatSource, isOurs, systemIn } from './names.ts';
import { gtidsOf } from './position.ts';

export type Tail =
  /** All of it is in the log that the cluster went on with. */
  | { readonly verdict: 'none' }
  | { readonly verdict: 'cut'; readonly at: number; readonly gtids: readonly string[] }
  | { readonly verdict: 'clone'; readonly reason: string };

/**
 * The log with which the cluster went on after this one's last epoch: that of the first winner since, as it was when it
 * claimed. Nothing of a lost tail can have got into it later. Undefined: nobody has led since, or nobody knows.
 */
export function logThatWon(history: ReadonlyMap<Epoch, HistoryEntry>, own: GtidSet): GtidSet | undefined {
  const timeline = timelineOf(own);
  const [next] = [...history.values()]
    .filter((entry) => (entry.timeline ?? 0) > timeline)
    .toSorted((a, b) => a.epoch - b.epoch);
  return next?.position && gtidsOf(next.position);
}

/** Beats are empty, and their numbers may be given again by whoever leads: they prove nothing and harm nobody. */
export function withoutBeats(gtids: GtidSet): GtidSet {
  const system = systemIn(gtids);
  return system === undefined ? gtids : new Map([...gtids].filter(([source]) => source !== beatSource(system)));
}

export function judgeTail(log: BinaryLog, won: GtidSet): Tail {
  if (!contains(won, withoutBeats(log.previous)))
    return { verdict: 'clone', reason: 'what is not in the primary’s log begins in an older file' };
  const system = systemIn(gtidsIn(log));
  const isBeat = (gtid: string): boolean => system !== undefined && gtid.startsWith(beatSource(system));
  const isMissing = (gtid: string): boolean => !contains(won, parseGtidSet(gtid));
  const from = log.transactions.findIndex(({ gtid }) => !isBeat(gtid) && isMissing(gtid));
  const first = log.transactions[from];
  if (!first) return { verdict: 'none' };
  if (!log.inUse) return { verdict: 'clone', reason: 'its server was shut down in order, and has committed it' };
  const tail = log.transactions.slice(from);
  const common = tail.find(({ gtid }) => !isBeat(gtid) && !isMissing(gtid));
  if (common) return { verdict: 'clone', reason: `${common.gtid} of the primary’s log comes after what it lacks` };
  return { verdict: 'cut', at: first.at, gtids: tail.map(({ gtid }) => gtid) };
}

/** Our own transactions are empty: nobody misses them, and InnoDB, which never hears of them, has nothing to undo. */
export const theirs = (gtids: readonly string[]): readonly string[] =>
  gtids.filter((gtid) => !isOurs(gtid.split(':')[0] ?? ''));

/** Takes it out of the log and keeps it as a file that mysqlbinlog reads. */
export async function cutTail(
  log: BinaryLog,
  { at, gtids }: Pick<Tail & { readonly verdict: 'cut' }, 'at' | 'gtids'>,
  layout: Layout,
  time: Date,
): Promise<string> {
  const handle = await open(log.file, 'r+');
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(log.headerEnd + size - at);
    await handle.read(bytes, 0, log.headerEnd, 0);
    await handle.read(bytes, log.headerEnd, size - at, at);
    await mkdir(layout.quarantine, { recursive: true });
    const kept = join(layout.quarantine, `${time.toISOString().replaceAll(/[:.]/g, '-')}-${basename(log.file)}`);
    await writeFile(kept, bytes, { flush: true });
    await note(gtids, kept, layout, time);
    await handle.truncate(at);
    await handle.sync();
    return kept;
  } finally {
    await handle.close();
  }
}

async function note(gtids: readonly string[], file: string, { cutTail: path }: Layout, time: Date): Promise<void> {
  const lost = theirs(gtids);
  if (lost.length === 0) return;
  const told: CutTail = {
    transactions: lost.length,
    gtids: formatGtidSet(parseGtidSet(lost.join(','))),
    at: time.toISOString(),
    file,
  };
  await replaceFile(path, JSON.stringify(told));
}

/** The last one, as long as its file is there. */
export async function lastCutTail({ cutTail: path }: Layout): Promise<CutTail | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const { data } = CutTail.safeParse(text === undefined ? undefined : JSON.parse(text));
  return data && (await exists(data.file)) ? data : undefined;
}
