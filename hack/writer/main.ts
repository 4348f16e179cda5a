/**
 * A client that writes all the time and remembers what it was promised. Runs as a Pod beside a cluster under test.
 *
 * GET /state · GET /history (acknowledged and unknown ids as ranges) · POST /mark?name=… ·
 * POST /stop (ends writing, then reads everything back) · POST /verify?table=… (body: a history; reads it back) ·
 * POST /compare (body: addresses of instances; waits until each holds what the primary holds)
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../operator/platform/clock.ts';
import { createLogger } from '../../operator/platform/log.ts';
import { createLedger, idsOfLane, type LedgerState } from './ledger.ts';
import { read } from './reading.ts';
import { judgeReads, readServices, type Read, type ReadService, type ReadVerdict } from './reads.ts';
import { openSession, openSessionAtAny, reasonOf } from './session.ts';
import { openSoonest } from './soonest.ts';
import { differenceOf, judge, type Difference, type History, type Row, type Verdict } from './verdict.ts';
import { write } from './writing.ts';

export type FinalReport = Verdict & {
  readonly state: LedgerState;
  readonly history: History;
  readonly reads: ReadVerdict;
};

/** By address: how what an instance holds differs from what the primary holds; null: not at all. */
export type Comparison = Readonly<Record<string, Difference | null>>;

const access = process.env['WRITER_ACCESS'] ?? '/etc/writer/app';
const table = process.env['WRITER_TABLE'] ?? 'writes';
const port = Number(process.env['WRITER_PORT'] ?? '9090');
const tableName = /^[a-z_][a-z0-9_]*$/;
if (!tableName.test(table)) throw new Error(`WRITER_TABLE is "${table}": use lower-case letters, digits and _`);

const log = createLogger('writer');
const clock = systemClock;
const ledger = createLedger();
const stopping = new AbortController();
const moment = () => ({ monotonicMs: clock.now(), wall: clock.wall() });
/** Several hosts: whichever of them is the primary. One: that one, whatever it is. None: the Service of the Secret. */
const hosts = (process.env['WRITER_HOSTS'] ?? '').split(',').filter((host) => host !== '');
const open = () =>
  hosts.length > 1
    ? openSessionAtAny(hosts, access, table, stopping.signal)
    : openSoonest(() => openSession(access, table, hosts[0]), stopping.signal);
const hasService = existsSync(path.join(access, 'host'));
/** Connections that write side by side; 0: only verifies what another writer left. */
const lanes = Number(process.env['WRITER_LANES'] ?? '1');
/** Of all connections together. */
const periodMs = 10;
const written = Promise.all(
  Array.from({ length: lanes }, (_, lane) =>
    write({ open, ledger, clock, log, periodMs: periodMs * lanes, from: lane * idsOfLane + 1 }, stopping.signal),
  ),
);

/** Through which Services it reads all the time. */
const services = (process.env['WRITER_READERS'] ?? '').split(',').filter(isReadService);
const reads: Read[] = [];
const haveRead = Promise.all(
  services.map(async (service) => {
    const host = (await readFile(path.join(access, 'host'), 'utf8')).trim().replace('-rw.', `-${service}.`);
    const opened = () => openSoonest(() => openSession(access, table, host), stopping.signal);
    await read({ service, open: opened, ledger, lanes, clock, keep: (one) => reads.push(one) }, stopping.signal);
  }),
);

function isReadService(name: string): name is ReadService {
  return readServices.some((service) => service === name);
}

/** How long a cluster that has just failed over may take until everything can be read back. */
const readBackWithinMs = 60_000;

/** By the Service where there is one, unless a host is named: one that was given to write to may be a replica by now. */
async function rowsOf(from: string, host?: string): Promise<readonly Row[]> {
  const session =
    host !== undefined || hasService
      ? await openSession(access, from, host)
      : await openSessionAtAny(hosts, access, from, AbortSignal.timeout(readBackWithinMs));
  try {
    return await session.rows(host === undefined ? 'primary' : 'any');
  } finally {
    session.drop();
  }
}

async function readBack(from = table): Promise<readonly Row[]> {
  const end = clock.now() + readBackWithinMs;
  for (;;) {
    try {
      return await rowsOf(from);
    } catch (error) {
      if (clock.now() > end) throw error;
      await delay(200);
    }
  }
}

async function verify(history: History, from: string): Promise<Verdict> {
  if (!tableName.test(from)) throw new Error(`table is "${from}": use lower-case letters, digits and _`);
  return judge(history, await readBack(from));
}

/** Once nobody writes any more. */
async function compare(addresses: readonly string[]): Promise<Comparison> {
  const end = clock.now() + readBackWithinMs;
  const primary = await readBack();
  const compared = addresses.map(async (address) => {
    for (;;) {
      const difference = await rowsOf(table, address).then(
        (rows) => differenceOf(primary, rows),
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      );
      if (difference === undefined) return [address, null] as const;
      if (clock.now() > end) {
        if (difference instanceof Error) throw difference;
        return [address, difference] as const;
      }
      await delay(200);
    }
  });
  return Object.fromEntries(await Promise.all(compared));
}

async function stop(): Promise<FinalReport> {
  const state = ledger.state(moment());
  stopping.abort();
  await Promise.all([written, haveRead]);
  const history = { acked: ledger.ackedRanges(), unknown: ledger.unknownRanges() };
  const acknowledgements = ledger.acknowledgements();
  const rows = await readBack();
  const verdict = judge({ ...history, acknowledgements }, rows);
  const present = new Set(rows.map(({ id }) => id));
  const shown = judgeReads(reads, { acknowledgements, unknown: history.unknown, present });
  log.info({ ...verdict, shown }, 'read back');
  return { ...verdict, state: { ...state, acked: verdict.acked }, history, reads: shown };
}
let stopped: Promise<FinalReport> | undefined;

async function answer(method: string, url: URL, body: () => Promise<string>): Promise<unknown> {
  switch (`${method} ${url.pathname}`) {
    case 'GET /state':
      return ledger.state(moment());
    case 'GET /history':
      return { acked: ledger.ackedRanges(), unknown: ledger.unknownRanges() };
    case 'POST /mark': {
      const name = url.searchParams.get('name') ?? 'mark';
      ledger.mark(name, moment());
      log.info({ name }, 'mark');
      return ledger.state(moment());
    }
    case 'POST /stop':
      return (stopped ??= stop());
    case 'POST /verify':
      return verify(JSON.parse(await body()) as History, url.searchParams.get('table') ?? table);
    case 'POST /compare':
      return compare(JSON.parse(await body()) as readonly string[]);
    default:
      return undefined;
  }
}

const server = createServer((request, response) => {
  const body = async (): Promise<string> => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
    return text;
  };
  const reply = (status: number, value: unknown): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  answer(request.method ?? 'GET', new URL(request.url ?? '/', 'http://writer'), body).then(
    (value) => reply(value === undefined ? 404 : 200, value ?? { error: 'no such path' }),
    (error: unknown) => reply(500, { error: reasonOf(error) }),
  );
});
server.listen(port, () => log.info({ port, table }, 'writing'));

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopping.abort();
    process.exit(0);
  });
}
