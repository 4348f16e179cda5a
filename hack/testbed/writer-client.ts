/** Talks to a running writer (hack/writer), wherever it runs. */
import { request } from 'undici';
import type { LedgerState } from '../writer/ledger.ts';
import type { Comparison, FinalReport } from '../writer/main.ts';
import type { History, Verdict } from '../writer/verdict.ts';
import { notYet, until, yes } from './until.ts';

export type { Comparison, FinalReport, History, LedgerState, Verdict };

export interface WriterClient {
  readonly table: string;
  readonly state: () => Promise<LedgerState>;
  /** Names a moment; `state().marks[name]` tells what happened since. */
  readonly mark: (name: string) => Promise<void>;
  /** Resolves when writes that were sent after this call are acknowledged. */
  readonly acknowledgedAgain: (patience: { readonly within: number; readonly writes?: number }) => Promise<void>;
  /** Ends writing, reads everything back from the primary and compares. */
  readonly stop: () => Promise<FinalReport>;
  /** Reads back what another writer left in the same table, or in that one. */
  readonly verify: (history: History, table?: string) => Promise<Verdict>;
  /** Once it has stopped: waits a minute for these instances, by address, to hold what the primary holds. */
  readonly compare: (addresses: readonly string[]) => Promise<Comparison>;
}

export type Ask = <T>(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs?: number) => Promise<T>;

/** One acknowledged write could be luck; this many are a working connection. */
const convincingWrites = 10;
/** The writer itself tries for a minute to read everything back. */
const stopTimeoutMs = 120_000;

/** `ask`: how hack/writer is reached, which writes to `table`. */
export function writerClient(ask: Ask, table: string, signal?: AbortSignal): WriterClient {
  const state = (): Promise<LedgerState> => ask<LedgerState>('GET', '/state');
  const mark = async (name: string): Promise<void> => {
    await ask('POST', `/mark?name=${encodeURIComponent(name)}`);
  };
  let questions = 0;
  return {
    table,
    state,
    mark,
    acknowledgedAgain: async ({ within, writes = convincingWrites }) => {
      questions += 1;
      const name = `question-${questions}`;
      await mark(name);
      await until(
        'acknowledged writes',
        async () => {
          const { marks, errors } = await state();
          const acked = marks[name]?.acked ?? 0;
          return acked >= writes ? yes(undefined) : notYet(`${acked} since; errors ${JSON.stringify(errors)}`);
        },
        { within, signal },
      );
    },
    stop: () => ask<FinalReport>('POST', '/stop', {}, stopTimeoutMs),
    verify: (history, of = table) => ask<Verdict>('POST', `/verify?table=${of}`, history, stopTimeoutMs),
    compare: (addresses) => ask<Comparison>('POST', '/compare', addresses, stopTimeoutMs),
  };
}

export function askingAt(url: string): Ask {
  return async <T>(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs = 2_000) => {
    const answer = await request(url + path, {
      method,
      body: method === 'POST' ? JSON.stringify(body ?? {}) : null,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`writer: ${answer.statusCode} ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  };
}
