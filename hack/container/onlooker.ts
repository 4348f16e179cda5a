/** A place on a test's network, beside its etcd: reads and writes keys, asks agents, and writes to the database as an application does. */
import { createInterface } from 'node:readline';
import mysql from 'mysql2/promise';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { systemClock as clock } from '../../operator/platform/clock.ts';

export type Question = { readonly id: number } & (
  | { readonly put: string; readonly value: string }
  | { readonly remove: string }
  | { readonly read: string }
  | { readonly ask: string }
  /** Hosts of the members: each write goes to whoever says that it is primary. */
  | { readonly write: readonly string[]; readonly table: string; readonly password: string }
  | { readonly stop: true }
);

export interface Acknowledged {
  readonly n: number;
  readonly at: number;
  readonly host: string;
}

export type Reply =
  { readonly id: number; readonly value?: unknown; readonly error?: string } | { readonly acknowledged: Acknowledged };

const tell = (reply: Reply): void => void process.stdout.write(`${JSON.stringify(reply)}\n`);
const dcs = etcdDcs({ endpoints: [process.argv[2] ?? ''], clock });
const deadline = { milliseconds: 5000 };
/** Of whoever writes, and of its rows. */
let [writer, n] = [0, 0];

async function isPrimary(host: string): Promise<boolean> {
  return fetch(`http://${host}:8008/primary`, { signal: AbortSignal.timeout(300) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function write(hosts: readonly string[], table: string, password: string): Promise<void> {
  const mine = ++writer;
  const stopped = (): boolean => writer !== mine;
  while (!stopped()) {
    const open = (await Promise.all(hosts.map(async (host) => ((await isPrimary(host)) ? host : undefined)))).find(
      (host) => host !== undefined,
    );
    if (open === undefined) {
      await clock.sleep(10);
      continue;
    }
    try {
      const connection = await mysql.createConnection({
        ...{ host: open, user: 'app', password, database: 'app' },
        connectTimeout: 500,
        ssl: { rejectUnauthorized: false },
      });
      connection.on('error', () => undefined);
      try {
        while (!stopped()) {
          const row = ++n;
          await Promise.race([
            connection.query(`INSERT INTO ${table} VALUES (?)`, [row]),
            clock.sleep(2000).then(() => Promise.reject(new Error('no answer'))),
          ]);
          tell({ acknowledged: { n: row, at: Date.now(), host: open } });
          await clock.sleep(5);
        }
      } finally {
        connection.destroy();
      }
    } catch {
      await clock.sleep(10);
    }
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const question = JSON.parse(line) as Question;
  const answer = async (): Promise<unknown> => {
    if ('put' in question) return (await dcs.txn([], [{ put: question.put, value: question.value }], deadline)).outcome;
    if ('remove' in question) return (await dcs.txn([], [{ delete: question.remove }], deadline)).outcome;
    if ('read' in question) {
      const { entries } = await dcs.read(question.read, deadline);
      return Object.fromEntries([...entries].map(([key, { value }]) => [key.slice(question.read.length), value]));
    }
    if ('ask' in question)
      return fetch(question.ask, { signal: AbortSignal.timeout(1000) }).then(
        ({ status }) => status,
        () => 0,
      );
    if ('write' in question) void write(question.write, question.table, question.password);
    else writer += 1;
    return undefined;
  };
  void answer().then(
    (value) => tell({ id: question.id, value }),
    (error: unknown) => tell({ id: question.id, error: String(error) }),
  );
});
