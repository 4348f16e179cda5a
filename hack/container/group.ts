/**
 * Several real servers on a network of their own, each under its engine. The test says who leads and follows; here
 * is what the protocol would keep meanwhile: the epochs, their history, positions.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Definition, HistoryEntry, Member, Position, Voter } from '../../operator/api/cluster-state.ts';
import type { Observation } from '../../operator/engines/engine.ts';
import { notAbove } from '../../operator/ha/position.ts';
import type { DatabaseEffect, DatabaseState } from '../../operator/ha/state.ts';
import { testNetwork, type TestNetwork } from './network.ts';
import type { TestContext } from './engine-driver.ts';
import { EngineFailed, type Driven, type DrivenOptions } from './driven.ts';

export interface ServerGroup<Server extends Driven> {
  readonly network: TestNetwork;
  readonly server: (name: string) => Server;
  readonly address: (name: string) => string;
  readonly member: (name: string) => Member;
  /** What all are told from now on. */
  define(change: Partial<Definition>): void;
  run(name: string, effect: DatabaseEffect, limit?: number): Promise<DatabaseState>;
  /** Settings and certificates as of now. */
  configure(name: string): Promise<DatabaseState>;
  observe(name: string): Promise<Observation>;
  /** The first primary, from nothing. */
  found(name: string): Promise<void>;
  /** A new replica, from nothing to streaming. */
  add(name: string, source?: string): Promise<void>;
  follow(name: string): Promise<DatabaseState>;
  /** Until it streams from the primary. */
  streaming(name: string): Promise<void>;
  /** One that was away, to streaming: rewound if it must be, never cloned. */
  return(name: string): Promise<void>;
  /** The sync set of the primary. */
  sync(acknowledgements: number, members: readonly string[]): Promise<void>;
  /** A new epoch: `winner` and the voters are sealed, it is promoted, they follow, it is opened. */
  elect(
    winner: string,
    voters: readonly string[],
    sync?: { readonly k: number; readonly members: string[] },
  ): Promise<void>;
  primary(): string;
  /** One look at each that runs, as an agent takes it a few times a second: slots are kept by it. */
  beat(): Promise<void>;
  /** Beats until it holds. */
  until(what: string, holds: () => boolean | Promise<boolean>, limitMs?: number): Promise<void>;
  remove(): Promise<void>;
}

/** What an agent asks for again when it failed for a reason that the engine calls passing, such as a disk that stalled for seconds. */
const repeated: readonly DatabaseEffect['type'][] = ['seal', 'follow', 'promote', 'open', 'configure-sync'];

export interface GroupOptions {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly ownDisk?: boolean;
  readonly ownWalVolume?: boolean;
}

export interface KindOfServer<Server extends Driven> {
  readonly drive: (options: DrivenOptions) => Promise<Server>;
  readonly port: number;
  readonly version: string;
}

export async function serverGroup<Server extends Driven>(
  kind: KindOfServer<Server>,
  names: readonly string[],
  options: GroupOptions = {},
): Promise<ServerGroup<Server>> {
  const network = await testNetwork();
  const address = (name: string): string => `10.9.0.${10 + names.indexOf(name)}`;
  const servers = new Map(
    await Promise.all(
      names.map(
        async (instance) =>
          [
            instance,
            await kind.drive({ ...options, instance, plug: { network, address: address(instance) } }),
          ] as const,
      ),
    ),
  );
  const history = new Map<number, HistoryEntry>();
  const positions = new Map<string, Position>();
  const states = new Map<string, DatabaseState>();
  let counted: readonly Voter[] = [];
  let definition: Partial<Definition> = { instances: names };
  let [epoch, leader] = [0, ''];
  const server = (name: string): Server => {
    const found = servers.get(name);
    if (!found) throw new Error(`no ${name} in the group`);
    return found;
  };
  const voter = (instance: string): Voter => ({ instance, incarnation: server(instance).incarnation() });
  const context = (): TestContext => ({
    definition: {
      ...definition,
      ...(options.parameters && { parameters: { ...options.parameters, ...definition.parameters } }),
    },
    history: [...history],
    positions: [...positions],
    sync: counted,
  });
  const member = (name: string): Member => ({
    ...voter(name),
    state: name === leader ? 'running' : 'streaming',
    role: name === leader ? 'primary' : 'replica',
    address: address(name),
    databasePort: kind.port,
    agentPort: 8008,
    node: '',
    version: kind.version,
  });
  const run = async (name: string, effect: DatabaseEffect, limit = 180_000): Promise<DatabaseState> => {
    for (let attempt = 1; ; attempt++)
      try {
        const state = await server(name).run(effect, limit, context());
        states.set(name, state);
        return state;
      } catch (error) {
        const again = error instanceof EngineFailed && error.retryable && repeated.includes(effect.type);
        if (!again || attempt === 3) throw error;
        process.stderr.write(`${effect.type} of ${name} failed and is tried again: ${error.message}\n`);
      }
  };
  const follow = async (name: string): Promise<DatabaseState> =>
    run(name, { type: 'follow', epoch, primary: member(leader), history: history.get(epoch) });

  const promote = async (winner: string, sync: { readonly k: number; readonly members: readonly string[] }) => {
    const sealed = [...states.values()].filter((state) => state.status === 'replica');
    const highest = Math.max(
      ...sealed.map((state) => state.highestTimeline),
      ...[...history.values()].map((h) => h.timeline ?? 1),
    );
    const own = states.get(winner);
    const position = own?.status === 'replica' ? own.sealed : undefined;
    epoch += 1;
    const timeline = Math.max(highest, epoch) + 1;
    const entry: HistoryEntry = { epoch, winner, reason: 'test', timeline, at: '', ...(position && { position }) };
    history.set(epoch, entry);
    leader = winner;
    counted = sync.members.map(voter);
    const state = await run(winner, {
      type: 'promote',
      epoch,
      timeline,
      sync: { members: counted, acknowledgements: sync.k },
    });
    if (state.status === 'primary') history.set(epoch, { ...entry, lineage: state.lineage, marker: state.marker });
  };

  const sealedEnd = async (name: string): Promise<Position | undefined> => {
    const state = await run(name, { type: 'seal' });
    return state.status === 'replica' ? state.sealed : undefined;
  };

  const beat = async (): Promise<void> => {
    await Promise.all(
      [...states].map(async ([name, { status }]) => {
        const runs = status === 'primary' || status === 'replica';
        const seen = runs
          ? await server(name)
              .observe(context())
              .catch(() => undefined)
          : undefined;
        if (seen?.member.position) positions.set(name, seen.member.position);
        else positions.delete(name);
      }),
    );
  };
  const until = async (what: string, holds: () => boolean | Promise<boolean>, limitMs = 120_000): Promise<void> => {
    const end = performance.now() + limitMs;
    while (!(await holds())) {
      if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
      await beat();
      await sleep(50);
    }
  };
  const streaming = (name: string): Promise<void> =>
    until(
      `${name} to stream`,
      async () =>
        (
          await server(name)
            .observe(context())
            .catch(() => undefined)
        )?.streaming === true,
    );

  return {
    network,
    server,
    address,
    member,
    run,
    configure: (name) => server(name).configure(context()),
    observe: (name) => server(name).observe(context()),
    follow,
    streaming,
    beat,
    until,
    primary: () => leader,
    define: (change) => (definition = { ...definition, ...change }),
    found: async (name) => {
      await run(name, { type: 'initialize' });
      await run(name, { type: 'start' });
      await run(name, { type: 'seal' });
      await promote(name, { k: 0, members: [] });
      await run(name, { type: 'open' });
      await beat();
    },
    add: async (name, source = leader) => {
      await run(name, { type: 'clone', source: member(source), mayDiscardOld: false });
      await run(name, { type: 'start' });
      await follow(name);
      await streaming(name);
    },
    return: async (name) => {
      const started = await run(name, { type: 'start' });
      if (started.status === 'stopped' && started.diverged?.remedy === 'rewind') {
        await run(name, { type: 'rewind', epoch, primary: member(leader) });
        await run(name, { type: 'start' });
      } else if (started.status !== 'replica') throw new Error(`${name} is ${JSON.stringify(started)}`);
      const state = await follow(name);
      if (state.status === 'replica' && state.diverged) {
        if (state.diverged.remedy !== 'rewind') throw new Error(`${name} needs a ${state.diverged.remedy}`);
        await run(name, { type: 'rewind', epoch, primary: member(leader) });
        await run(name, { type: 'start', from: { epoch, primary: member(leader) } });
      }
      await streaming(name);
    },
    sync: async (acknowledgements, members) => {
      const former = counted;
      // As etcd would have it meanwhile: whoever leaves is counted until it has left.
      counted = [...former, ...members.map(voter)];
      const to = { members: members.map(voter), acknowledgements };
      // Replicas see it, too: they may have to do something for it.
      await Promise.all([run(leader, { type: 'configure-sync', to, barrier: true }), beat()]);
      counted = members.map(voter);
    },
    elect: async (winner, voters, sync = { k: 0, members: [] }) => {
      const [end, ...others] = await Promise.all([winner, ...voters].map(sealedEnd));
      const ahead = voters.filter((_, index) => {
        const other = others[index];
        return end !== undefined && other !== undefined && !notAbove(other, end);
      });
      if (ahead.length > 0)
        throw new Error(
          `${winner} can’t lead ${ahead.join(', ')}: they have log that it lacks; the protocol would refuse`,
        );
      await promote(winner, sync);
      for (const name of voters) await follow(name);
      const opened = (): Promise<boolean> =>
        run(winner, { type: 'open' }).then(
          () => true,
          () => false,
        );
      await until(`${winner} to open`, opened);
      for (const name of voters) await streaming(name);
    },
    remove: async () => {
      await Promise.all([...servers.values()].map((one) => one.remove()));
      await network.remove();
    },
  };
}
