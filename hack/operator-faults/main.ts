/**
 * The operator against a real API server behind a faulting proxy. It dies at every write of every story, one after the other;
 * every request of every story fails once in every way; watch events are late, doubled, lost; successors begin in the past.
 * Last line: `N passed, N failed`. Arguments pick stories or troubles by a part of their name.
 */
import process from 'node:process';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import { startApiProcess } from '../standin/api-process.ts';
import { startStandIn } from '../standin/standin.ts';
import { firstTimes, fromWrite, type Death, type Fault, type Refusal } from './gate.ts';
import { fastClock } from './fast-clock.ts';
import { openLane, type Account, type Lane, type Surroundings, type Troubles } from './lane.ts';
import { startObserver } from './observer.ts';
import { stories, type Story } from './stories.ts';
import { differences } from './verdict.ts';

/** Namespaces worked in at the same time: enough to keep two cores busy. */
const lanes = 6;
/** The operator waits for seconds what it waits for in minutes elsewhere. */
const speed = 10;

interface Unit {
  readonly name: string;
  run(): Promise<void>;
}

const wanted = process.argv.slice(2);
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
const began = performance.now();
let passed = 0;
const failures: string[] = [];

const api = await startApiProcess(stop.signal);
try {
  const clock = fastClock(speed);
  const dcs = etcdDcs({ endpoints: [api.etcdUrl], clock: systemClock });
  const ends = new AbortController();
  startStandIn({ client: api.client, dcs, clock }, ends.signal);
  const observer = startObserver(api.client, ends.signal);
  await observer.whenSynced();
  const surroundings: Surroundings = { api, dcs, observer, clock, signal: stop.signal };
  const units = unitsFor(surroundings).filter(
    ({ name }) => wanted.length === 0 || wanted.every((part) => name.includes(part)),
  );
  await Promise.all(Array.from({ length: lanes }, () => work(units)));
  ends.abort(new Error('the tests are over'));
  await dcs.close();
} finally {
  await api.stop();
}
if (stop.signal.aborted) fail(String(stop.signal.reason));
for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
process.exit(failures.length === 0 ? 0 : 1);

async function work(units: Unit[]): Promise<void> {
  for (let unit = units.shift(); unit; unit = units.shift()) {
    if (stop.signal.aborted) return;
    await unit.run().catch((error: unknown) => {
      fail(`${unit.name}: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
}

function unitsFor(surroundings: Surroundings): Unit[] {
  const watches: readonly (readonly [string, Troubles])[] = [
    ['late events', { watching: { kind: 'late', milliseconds: 150 } }],
    ['doubled events', { watching: { kind: 'twice' } }],
    ['lost events, then 410', { watching: { kind: 'lost', forMs: 300, end: 'gone' } }],
    ['lost events, then a reset', { watching: { kind: 'lost', forMs: 300, end: 'reset' } }],
    ['a successor that begins in the past', { timeTravel: true }],
  ];
  const deaths: readonly (readonly [string, readonly Death[]])[] = [
    // Who dies before a write leaves it to the next, so that one run shows three deaths around each write.
    ['deaths before, during and after each write', ['before', 'during', 'after']],
    ['death with each write on its way', ['late']],
  ];
  const mishaps: readonly (readonly [string, Fault])[] = [
    ...(['conflict', 'gone', 'invalid', 'throttled', 'broken', 'unavailable'] satisfies Refusal[]).map(
      (as): readonly [string, Fault] => [as, { kind: 'refusal', as }],
    ),
    ['reset before', { kind: 'reset', carriedOut: false }],
    ['reset after', { kind: 'reset', carriedOut: true }],
    ['silence', { kind: 'silence' }],
  ];
  const disturbances = [
    ...mishaps.map(([name, fault]): readonly [string, () => Troubles] => [
      `every request meets ${name} once`,
      () => ({ plan: firstTimes(fault) }),
    ]),
    ...watches.map(([name, troubles]): readonly [string, () => Troubles] => [name, () => troubles]),
  ];
  return stories.flatMap((story): Unit[] => [
    ...deaths.map(([name, each]) => ({
      name: `${story.name}: ${name}`,
      run: () => dieAtEachWrite(surroundings, story, name, each),
    })),
    { name: `${story.name}: mishaps`, run: () => disturb(surroundings, story, disturbances) },
  ]);
}

async function dieAtEachWrite(
  surroundings: Surroundings,
  story: Story,
  name: string,
  each: readonly Death[],
): Promise<void> {
  await withLane(surroundings, story, async (tell) => {
    const expected = await tell({});
    for (let number = 1; ; number++) {
      if (stop.signal.aborted) return;
      const { plan, met } = fromWrite(number, each);
      const isOver = await attempt(
        () => `${story.name}: ${name}, ${number} (${met() ?? 'not met'})`,
        async () => {
          const actual = await tell({ plan });
          return met() === undefined
            ? 'over'
            : differences(expected, actual, {
                repeats: each.includes('late') || story.collects === true,
              });
        },
      );
      if (!isOver) continue;
      say(`${story.name}: ${name}, ${number - 1} writes`);
      return;
    }
  });
}

async function disturb(
  surroundings: Surroundings,
  story: Story,
  disturbances: readonly (readonly [string, () => Troubles])[],
): Promise<void> {
  await withLane(surroundings, story, async (tell) => {
    const expected = await tell({});
    for (const [name, troubles] of disturbances) {
      if (stop.signal.aborted) return;
      await attempt(
        () => `${story.name}: ${name}`,
        async () => differences(expected, await tell(troubles()), { repeats: false }),
      );
    }
    say(`${story.name}: ${disturbances.length} kinds of mishaps`);
  });
}

/** True when there is nothing more to try. */
async function attempt(name: () => string, run: () => Promise<readonly string[] | 'over'>): Promise<boolean> {
  try {
    const problems = await run();
    if (problems === 'over') return true;
    if (problems.length === 0) passed += 1;
    else fail(`${name()}: ${problems.slice(0, 3).join('; ')}`);
  } catch (error) {
    fail(`${name()}: ${error instanceof Error ? error.message : String(error)}`);
    // What a run leaves half done would spoil the next ones.
    throw new Error('given up after this failure', { cause: error });
  }
  return false;
}

type Tell = (troubles: Troubles) => Promise<Account>;

async function withLane(surroundings: Surroundings, story: Story, work: (tell: Tell) => Promise<void>): Promise<void> {
  let lane: Lane | undefined;
  const fresh = async (): Promise<Lane> => {
    await lane?.close();
    lane = undefined;
    lane = await openLane(surroundings, story);
    return lane;
  };
  try {
    if (!story.consumes) await fresh();
    await work(async (troubles) => {
      const here = story.consumes || !lane ? await fresh() : lane;
      return here.tell(story, troubles);
    });
  } finally {
    await lane?.close();
  }
}

function fail(line: string): void {
  failures.push(line);
  say(`FAILED ${line}`);
}

function say(line: string): void {
  process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
}
