/**
 * Follows the files into which a database writes a log. They lie in memory and are read here without waiting: a server that
 * has much to tell, or nobody who takes it, must not hold up anything else, and never waits itself.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
  type FSWatcher,
} from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../platform/clock.ts';

export interface LogFiles {
  /** Tells at once what is there, however much it is. */
  drain(): void;
  stop(): void;
}

export interface LogReader<Kind extends string> {
  /** `cut`: the line went on. */
  line(kind: Kind, text: string, cut: boolean): void;
  /** Bytes that had to be left out. */
  lost(bytes: number): void;
  /** Nobody takes more lines for now. */
  busy(): boolean;
}

/** Bytes read before everything else gets its turn. */
const portion = 128 * 1024;
/** Longer lines are cut here. */
const longestLine = 1024 * 1024;
/** Milliseconds without word of a change, which a watch may lose but hardly does; and where none can be had. */
const lookPeriods = { watched: 5000, unwatched: 500 };
/** Files of each kind; the server begins a new one every 4 MB. */
const mostFiles = 4;
const newline = 10;

interface Stream<Kind> {
  readonly kind: Kind;
  file: string | undefined;
  offset: number;
  /** The beginning of a line. */
  rest: Buffer;
  /** The rest of this line is to be passed over. */
  skipping: boolean;
}

/** `kinds`: which files are of which; their names sort by age. */
export function followLog<Kind extends string>(
  directory: string,
  kinds: Readonly<Record<Kind, RegExp>>,
  reader: LogReader<Kind>,
  clock: Clock,
): LogFiles {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const notes = join(directory, 'told');
  const told = readNotes(notes);
  const streams = (Object.keys(kinds) as Kind[]).map((kind): Stream<Kind> => ({
    kind,
    file: undefined,
    offset: 0,
    rest: Buffer.alloc(0),
    skipping: false,
  }));
  const buffer = Buffer.alloc(portion);
  let stopped = false;
  let waiting = false;
  let cancelLook = (): void => undefined;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, soon).on('error', () => {
      watcher?.close();
      watcher = undefined;
    });
  } catch {
    // No watches left on this machine: the timer has to do.
  }

  function soon(): void {
    if (waiting || stopped) return;
    waiting = true;
    setImmediate(look);
  }

  function look(): void {
    waiting = false;
    if (stopped) return;
    cancelLook();
    if (!reader.busy() && read(portion) >= portion) soon();
    leaveOutWhatIsTooMuch();
    cancelLook = clock.after(watcher && !reader.busy() ? lookPeriods.watched : lookPeriods.unwatched, look);
  }

  /** Reads about so many bytes, and tells of how many. */
  function read(most: number): number {
    let total = 0;
    for (const stream of streams)
      while (total < most) {
        const count = readFrom(stream);
        if (count === 0) break;
        total += count;
      }
    if (total > 0) noteHowFar();
    return total;
  }

  /** So that another life of the agent goes on from there. */
  function noteHowFar(): void {
    try {
      writeFileSync(notes, JSON.stringify(Object.fromEntries(streams.map(({ file, offset }) => [file, offset]))));
    } catch {
      // No room: it will tell some lines again.
    }
  }

  function readFrom(stream: Stream<Kind>): number {
    const files = filesOf(stream.kind);
    const current = stream.file ?? files[0];
    if (current === undefined) return 0;
    if (stream.file === undefined) begin(stream, current);
    // First looked for, then read to its end: once there is a next one, nothing more is written to this one.
    const next = files.find((file) => file > current);
    const count = readAt(join(directory, current), buffer, stream.offset);
    if (count > 0) {
      stream.offset += count;
      split(stream, buffer.subarray(0, count));
      return count;
    }
    if (next === undefined) return 0;
    rmSync(join(directory, current), { force: true });
    begin(stream, next);
    return readFrom(stream);
  }

  function begin(stream: Stream<Kind>, file: string): void {
    if (stream.rest.length > 0) reader.line(stream.kind, stream.rest.toString(), true);
    Object.assign(stream, { file, offset: told[file] ?? 0, rest: Buffer.alloc(0), skipping: false });
  }

  function split(stream: Stream<Kind>, bytes: Buffer): void {
    let from = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, from)) {
      if (!stream.skipping)
        reader.line(stream.kind, Buffer.concat([stream.rest, bytes.subarray(from, end)]).toString(), false);
      stream.skipping = false;
      stream.rest = Buffer.alloc(0);
      from = end + 1;
    }
    if (stream.skipping || from === bytes.length) return;
    stream.rest = Buffer.concat([stream.rest, bytes.subarray(from)]);
    if (stream.rest.length < longestLine) return;
    reader.line(stream.kind, stream.rest.toString(), true);
    stream.rest = Buffer.alloc(0);
    stream.skipping = true;
  }

  function filesOf(kind: Kind): readonly string[] {
    return readdirSync(directory)
      .filter((name) => kinds[kind].test(name))
      .toSorted();
  }

  function leaveOutWhatIsTooMuch(): void {
    for (const stream of streams) {
      const files = filesOf(stream.kind);
      for (const file of files.slice(0, Math.max(0, files.length - mostFiles))) {
        const path = join(directory, file);
        const { size } = statSync(path);
        rmSync(path, { force: true });
        reader.lost(size - (file === stream.file ? stream.offset : 0));
      }
    }
  }

  look();
  return {
    drain: () => void read(Infinity),
    stop: () => {
      stopped = true;
      cancelLook();
      watcher?.close();
    },
  };
}

function readAt(path: string, into: Buffer, position: number): number {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return 0; // left out
  }
  try {
    return readSync(descriptor, into, 0, into.length, position);
  } finally {
    closeSync(descriptor);
  }
}

/** How far a former life of the agent got. */
function readNotes(path: string): Readonly<Record<string, number>> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, number>;
  } catch {
    return {};
  }
}
