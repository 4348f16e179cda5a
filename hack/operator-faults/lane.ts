/** One namespace with its own operator behind its own proxy; stories are told in it one after the other. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dcs } from '../../operator/dcs/dcs.ts';
import type { Clock } from '../../operator/platform/clock.ts';
import type { ApiProcess } from '../standin/api-process.ts';
import { repository } from '../testbed/cluster-access.ts';
import { noFaults, type Plan } from './gate.ts';
import { endState, type Observer } from './observer.ts';
import { startOperator } from './operator.ts';
import { startProxy, type Watching } from './proxy.ts';
import { createCluster, unready, type Stage, type Story } from './stories.ts';

export interface Surroundings {
  readonly api: ApiProcess;
  readonly dcs: Dcs;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** How a story went. */
export interface Account {
  readonly state: readonly string[];
  /** By object, as in `Pod orders-1`. */
  readonly deletions: ReadonlyMap<string, number>;
  readonly budgetChanges: number;
  readonly writes: number;
  readonly deaths: number;
}

export interface Troubles {
  readonly plan?: Plan;
  readonly watching?: Watching;
  /** At the end the operator dies, and its successor begins with the lists of the beginning. */
  readonly timeTravel?: true;
}

export interface Lane {
  tell(story: Story, troubles?: Troubles): Promise<Account>;
  close(): Promise<void>;
}

/** So long without a write, and it is over. Of real time, in which the operator's runs ten times as fast. */
const quietMs = 200;
/** The machine may have other work. */
const patienceMs = 90_000;
/** Time in which a successor lives in the past. */
const travelMs = 400;
const logFolder = path.join(repository, 'build/test/operator-faults');
const faithful: Watching = { kind: 'faithful' };
let namespaces = 0;

export async function openLane(surroundings: Surroundings, story: Story): Promise<Lane> {
  const { api, dcs, observer, clock, signal } = surroundings;
  const namespace = `lane-${++namespaces}`;
  await api.makeNamespace(namespace);
  const proxy = await startProxy(api.access);
  const operator = startOperator({ proxy, dcs, namespace, clock });
  let runs = 0;

  async function keepLog(): Promise<string> {
    await mkdir(logFolder, { recursive: true });
    const file = path.join(logFolder, `${namespace}.log`);
    await writeFile(file, operator.log.join(''));
    return `see ${path.relative(repository, file)}`;
  }

  async function settled(what: string, problem: () => string | undefined): Promise<void> {
    const until = performance.now() + patienceMs;
    let last: string | undefined;
    for (;;) {
      signal.throwIfAborted();
      last = problem();
      if (last === undefined && performance.now() - proxy.lastWriteAt >= quietMs) return;
      if (performance.now() > until)
        throw new Error(
          `${what}: not after ${patienceMs / 1000} s: ${last ?? 'the operator goes on writing'}; ${await keepLog()}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }
  const stage = (): Stage => ({ client: api.client, observer, namespace, settled, run: runs });

  const lane: Lane = {
    async tell(told, { plan = noFaults, watching = faithful, timeTravel } = {}) {
      runs += 1;
      const before = { writes: proxy.writes, deaths: operator.deaths };
      observer.takeDeletions(namespace);
      observer.takeBudgetChanges(namespace);
      proxy.plan(plan);
      if (watching.kind !== 'faithful' || timeTravel) {
        // New streams, and lists to go back to.
        proxy.watching(watching);
        operator.restart();
      }
      try {
        await told.tell(stage());
        proxy.plan(noFaults);
        await proxy.deliverLate();
        if (timeTravel) {
          proxy.timeTravel(travelMs);
          operator.restart();
          await new Promise((resolve) => setTimeout(resolve, 2 * travelMs));
          proxy.timeTravel(undefined);
        }
        const isGone = observer.cluster(namespace, 'orders') === undefined;
        await settled('at rest in the end', () => (isGone ? undefined : unready(stage())));
      } finally {
        proxy.plan(noFaults);
        if (watching.kind !== 'faithful') {
          proxy.watching(faithful);
          operator.restart();
        }
      }
      return {
        state: await endState(observer, dcs, namespace),
        deletions: observer.takeDeletions(namespace),
        budgetChanges: observer.takeBudgetChanges(namespace),
        writes: proxy.writes - before.writes,
        deaths: operator.deaths - before.deaths,
      };
    },
    async close() {
      await operator.stop();
      await proxy.close();
    },
  };
  if (!story.fromNothing) {
    await createCluster({ client: api.client, namespace }, story.spec ?? {});
    await settled('a cluster to begin with', () => unready(stage()));
  }
  return lane;
}
