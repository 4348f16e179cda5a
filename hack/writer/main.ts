/**
 * A client that writes all the time and remembers what it was promised. Runs as a Pod beside a cluster under test.
 *
 * GET /state · GET /history (acknowledged and unknown ids as ranges) · POST /mark?name=… ·
 * POST /stop (ends writing, then reads everything back) · POST /verify (body: a history; reads it back)
 */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../operator/platform/clock.ts';
import { createLogger } from '../../operator/platform/log.ts';
import { createLedger, idsOfLane, type LedgerState } from './ledger.ts';
import { openSession, openSessionAtAny, reasonOf } from './session.ts';
import { openSoonest } from './soonest.ts';
import { judge, type History, type Verdict } from './verdict.ts';
import { write } from './writing.ts';

export type FinalReport = Verdict & { readonly state: LedgerState; readonly history: History };

const access = process.env['WRITER_ACCESS'] ?? '/etc/writer/app';
const table = process.env['WRITER_TABLE'] ?? 'writes';
const port = Number(process.env['WRITER_PORT'] ?? '9090');
if (!/^[a-z_][a-z0-9_]*$/.test(table))
  throw new Error(`WRITER_TABLE is "${table}": use lower-case letters, digits and _`);

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

/** How long a cluster that has just failed over may take until everything can be read back. */
const readBackWithinMs = 60_000;

async function verify(history: History): Promise<Verdict> {
  const end = clock.now() + readBackWithinMs;
  for (;;) {
    try {
      // By the Service where there is one: a host that was given may be a replica by now.
      const session = hasService
        ? await openSession(access, table)
        : await openSessionAtAny(hosts, access, table, AbortSignal.timeout(readBackWithinMs));
      try {
        return judge(history, await session.rows());
      } finally {
        session.drop();
      }
    } catch (error) {
      if (clock.now() > end) throw error;
      await delay(200);
    }
  }
}

async function stop(): Promise<FinalReport> {
  const state = ledger.state(moment());
  stopping.abort();
  await written;
  const history = { acked: ledger.ackedRanges(), unknown: ledger.unknownRanges() };
  const verdict = await verify({ ...history, acknowledgements: ledger.acknowledgements() });
  log.info(verdict, 'read back');
  return { ...verdict, state: { ...state, acked: verdict.acked }, history };
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
      return verify(JSON.parse(await body()) as History);
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
