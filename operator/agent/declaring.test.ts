import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { declarationDigest, Declared, keys, type Finding } from '../api/cluster-state.ts';
import { createMemoryStore } from '../dcs/memory-store.ts';
import { memoryDcs } from '../dcs/memory.ts';
import { systemClock } from '../platform/clock.ts';
import { createAlarm } from './alarm.ts';
import { keepDeclared, type Declaring } from './declaring.ts';

const prefix = '/mainstay/shop/orders-1/';
const ending = new AbortController();
afterEach(() => ending.abort());

test('what the primary finds is reported once, while it leads, and what failed is tried again', async () => {
  const dcs = memoryDcs({ store: createMemoryStore({ clock: systemClock }), clock: systemClock });
  const deadline = { milliseconds: 1000 };
  await dcs.txn([], [{ put: prefix + keys.leader, value: 'a' }], deadline);
  const entries = async () => (await dcs.read(prefix, deadline)).entries;
  const reported = async () => {
    const text = (await entries()).get(prefix + keys.declared)?.value;
    return text === undefined ? undefined : Declared.parse(JSON.parse(text));
  };
  const leaderRevision = (await entries()).get(prefix + keys.leader)?.modRevision ?? 0;

  const failed: Finding = { kind: 'role', name: 'shop', state: 'failed', text: 'no' };
  const answers: (readonly Finding[] | Error)[] = [[failed], new Error('gone'), []];
  const asked: string[] = [];
  let now: Declaring | undefined = undefined;
  const due = createAlarm(systemClock, ending.signal);
  const engine = {
    declare: (declaration: string) => {
      asked.push(declaration);
      const answer = answers.shift() ?? [];
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  } as unknown as Parameters<typeof keepDeclared>[0]['engine'];
  const log = pino({ level: 'silent' });
  const loop = keepDeclared(
    { instance: 'orders-1', prefix, engine, dcs, clock: systemClock, log, now: () => now, due },
    ending.signal,
  );
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) await systemClock.sleep(10);
  };

  due.ring();
  await systemClock.sleep(50);
  expect(asked).toEqual([]); // not a primary that serves
  now = { declaration: 'wish', reported: undefined, leaderRevision, lacking: () => [] };
  due.ring();
  await until(async () => (await reported()) !== undefined);
  expect(await reported()).toMatchObject({ declaration: declarationDigest('wish'), findings: [failed] });

  due.ring(); // the database is gone for a moment: what was reported stands
  await until(() => asked.length === 2);
  expect(await reported()).toMatchObject({ findings: [failed] });

  // Somebody else leads: the report is not its to write.
  await dcs.txn([], [{ put: prefix + keys.leader, value: 'b' }], deadline);
  due.ring();
  await until(() => asked.length === 3);
  await systemClock.sleep(50);
  expect(await reported()).toMatchObject({ findings: [failed] });
  ending.abort();
  await loop;
  await dcs.close();
}, 20_000);
