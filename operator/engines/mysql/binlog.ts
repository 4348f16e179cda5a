/**
 * A binary log file as it lies on the disk: which transactions it holds, and where each begins. Written from MySQL's description
 * of the format (binlog_event.h): no server is asked, since it must not be started (mysql-ha.md §3.5).
 */
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { parseGtidSet, unionOf, type GtidSet } from '../../ha/gtid-set.ts';
import { isBinaryLog } from './layout.ts';

export interface BinaryLog {
  readonly file: string;
  /** Its server has not closed it: it crashed, or runs. */
  readonly inUse: boolean;
  /** What the files before it hold. */
  readonly previous: GtidSet;
  /** In their order, complete or not. */
  readonly transactions: readonly { readonly gtid: string; readonly at: number }[];
  /** Where the first transaction could begin. */
  readonly headerEnd: number;
}

const magic = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
const headerSize = 19;
const types = { formatDescription: 15, gtid: 33, anonymousGtid: 34, previousGtids: 35, taggedGtid: 42 };
const inUseFlag = 0x1;
const chunk = 4 * 1024 * 1024;
/** Of a GTID event behind its header: flags, source, number. */
const gtidSize = 1 + 16 + 8;

/** The newest; undefined where there is none. */
export async function lastBinaryLog(data: string): Promise<string | undefined> {
  return (await binaryLogs(data)).at(-1);
}

/** The oldest first. */
export async function binaryLogs(data: string): Promise<readonly string[]> {
  const names = (await readdir(data)).filter(isBinaryLog);
  return names.toSorted((a, b) => Number(a.slice(7)) - Number(b.slice(7))).map((name) => join(data, name));
}

/** All transactions of the files before it; undefined as for `readBinaryLog`. */
export async function gtidsBefore(file: string): Promise<GtidSet | undefined> {
  const handle = await open(file, 'r');
  try {
    return (await read(handle, file, 'header'))?.previous;
  } finally {
    await handle.close();
  }
}

/** Undefined where it is nothing that this can read: encrypted, or with tagged GTIDs. */
export async function readBinaryLog(file: string): Promise<BinaryLog | undefined> {
  const handle = await open(file, 'r');
  try {
    return await read(handle, file);
  } finally {
    await handle.close();
  }
}

async function read(handle: FileHandle, file: string, part?: 'header'): Promise<BinaryLog | undefined> {
  const { size } = await handle.stat();
  let window = { at: 0, bytes: Buffer.alloc(0) };
  /** `length` bytes at `at`, or undefined where the file ends before. */
  const bytes = async (at: number, length: number): Promise<Buffer | undefined> => {
    if (at + length > size) return undefined;
    if (at < window.at || at + length > window.at + window.bytes.length) {
      const buffer = Buffer.alloc(Math.min(Math.max(chunk, length), size - at));
      await handle.read(buffer, 0, buffer.length, at);
      window = { at, bytes: buffer };
    }
    return window.bytes.subarray(at - window.at, at - window.at + length);
  };
  if (!(await bytes(0, magic.length))?.equals(magic)) return undefined;

  let [inUse, previous, headerEnd] = [false, undefined as GtidSet | undefined, 0];
  const transactions: { gtid: string; at: number }[] = [];
  for (let at = magic.length; part !== 'header' || previous === undefined;) {
    const header = await bytes(at, headerSize);
    if (!header) break;
    const [type, length, flags] = [header.readUInt8(4), header.readUInt32LE(9), header.readUInt16LE(17)];
    if (length < headerSize) break; // zeros, or the middle of nothing
    switch (type) {
      case types.formatDescription:
        inUse = (flags & inUseFlag) !== 0;
        break;
      case types.previousGtids: {
        const body = await bytes(at + headerSize, length - headerSize);
        const set = body && decodeGtidSet(body);
        if (!set) return undefined;
        [previous, headerEnd] = [set, at + length];
        break;
      }
      case types.gtid: {
        const body = await bytes(at + headerSize, gtidSize);
        if (body) transactions.push({ gtid: `${uuidOf(body, 1)}:${body.readBigInt64LE(17)}`, at });
        break;
      }
      case types.taggedGtid:
      case types.anonymousGtid:
        return undefined;
    }
    at += length;
  }
  return previous && { file, inUse, previous, transactions, headerEnd };
}

export const gtidsIn = ({ previous, transactions }: BinaryLog): GtidSet =>
  unionOf(previous, parseGtidSet(transactions.map(({ gtid }) => gtid).join(',')));

/** Sources, each with its intervals, whose ends are the first numbers that are not in them. */
function decodeGtidSet(body: Buffer): GtidSet | undefined {
  const sources = body.readBigUInt64LE(0);
  // Another format has its number in the highest byte, and tags.
  if (sources >> 56n !== 0n) return undefined;
  const parts: string[] = [];
  let at = 8;
  for (let source = 0n; source < sources; source += 1n) {
    const uuid = uuidOf(body, at);
    const intervals = body.readBigUInt64LE(at + 16);
    at += 24;
    for (let interval = 0n; interval < intervals; interval += 1n, at += 16)
      parts.push(`${uuid}:${body.readBigInt64LE(at)}-${body.readBigInt64LE(at + 8) - 1n}`);
  }
  return parseGtidSet(parts.join(','));
}

function uuidOf(bytes: Buffer, at: number): string {
  const text = bytes.toString('hex', at, at + 16);
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
}
