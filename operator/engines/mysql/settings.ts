/** The user's variables: checked by the server itself before they are written, changed while it runs where it can. */
import { copyFile, rename } from 'node:fs/promises';
import { command } from '../command.ts';
import { replaceFile } from '../files.ts';
import { myCnf } from './config.ts';
import { configFile, type Layout } from './layout.ts';
import { errorNumber, identifier, literal, type Session } from './sql.ts';

export type Settings = Readonly<Record<string, string>>;

const acceptedFile = (layout: Layout): string => `${configFile(layout)}.accepted`;

/** Writes the option file, unless the server says that it would not start with it: then the former stays, and what it says is told. */
export async function writeIfValid(what: Parameters<typeof myCnf>, signal: AbortSignal): Promise<string | undefined> {
  const [, layout] = what;
  const candidate = `${configFile(layout)}.candidate`;
  await replaceFile(candidate, myCnf(...what));
  try {
    await command(layout.mysqld, [`--defaults-file=${candidate}`, '--validate-config'], { signal });
  } catch (error) {
    signal.throwIfAborted();
    return complaintIn(error);
  }
  await rename(candidate, configFile(layout));
  return undefined;
}

/** A server came up with the file as it is. */
export const noteAccepted = (layout: Layout): Promise<void> => copyFile(configFile(layout), acceptedFile(layout));

/** Back to the file with which a server came up last; false if there is no other. */
export async function takeAccepted(layout: Layout): Promise<boolean> {
  return copyFile(acceptedFile(layout), configFile(layout)).then(
    () => true,
    () => false,
  );
}

/** "… [ERROR] [MY-000067] [Server] unknown variable 'nonsense=1'." */
function complaintIn(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const complaints = [...text.matchAll(/\[ERROR\] \[MY-\d+\] \[\w+\] (.*)/g)].map(([, message = '']) => message.trim());
  return complaints.filter((message) => message !== 'Aborting').join('; ') || text.slice(-500);
}

/** Read-only variables, and options that are no variables: they take effect with the next start. */
const needsRestart = [1238, 1193];

export interface Applied {
  /** Names of those that wait for a restart. */
  readonly pending: readonly string[];
  /** What the server refused. */
  readonly refused: readonly string[];
}

/** Brings a running server from one set of variables to another. */
export async function applyChanges(session: Session, from: Settings, to: Settings): Promise<Applied> {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].filter(
    // The gate's.
    (name) => from[name] !== to[name] && name !== 'init_connect',
  );
  const [pending, refused]: [string[], string[]] = [[], []];
  for (const name of names) {
    try {
      await session.query(`SET GLOBAL ${identifier(name)} = ${valueOf(to[name])}`);
    } catch (error) {
      const number = errorNumber(error);
      if (number === undefined) throw error;
      if (needsRestart.includes(number)) pending.push(name);
      else refused.push(`${name}: ${error instanceof Error ? error.message.replace(/^MySQL: /, '') : String(error)}`);
    }
  }
  return { pending: pending.toSorted(), refused };
}

const factors: Readonly<Record<string, bigint>> = { K: 2n ** 10n, M: 2n ** 20n, G: 2n ** 30n, T: 2n ** 40n };

/** An option's text as SQL takes it. */
export function valueOf(text: string | undefined): string {
  if (text === undefined) return 'DEFAULT';
  const [, digits, unit] = /^(\d+)([KMGT])$/i.exec(text) ?? [];
  const factor = factors[unit?.toUpperCase() ?? ''];
  if (digits !== undefined && factor !== undefined) return String(BigInt(digits) * factor);
  return /^-?\d+(\.\d+)?$/.test(text) || /^(on|off|true|false)$/i.test(text) ? text : literal(text);
}
