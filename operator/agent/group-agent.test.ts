/** Three real members with their agents, and a real etcd: the group elects, and the agents form it, follow it and fence. */
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import {
  replicationGroup,
  applicationPassword,
  type ReplicationGroup,
} from '../../hack/container/replication-group.ts';
import { realServers } from '../../hack/container/real-servers.ts';
import { findEtcdBinary } from '../dcs/local-etcd.ts';

const { root, onRealServers, title } = await realServers('mysql');
const etcd = await findEtcdBinary();
const runs = root !== '' && etcd !== undefined;
const names = ['g-1', 'g-2', 'g-3'];

const serving = async (group: ReplicationGroup): Promise<readonly string[]> =>
  [...(await group.members()).values()]
    .filter(({ state }) => state === 'running' || state === 'streaming')
    .map(({ instance }) => instance)
    .sort();

async function allServe(group: ReplicationGroup): Promise<number> {
  return group.until('all members to serve', async () => (await serving(group)).length === names.length, 180_000);
}

async function leader(group: ReplicationGroup): Promise<string> {
  const view = await group.view();
  return view.leader?.value.instance ?? '';
}

/** Those whose agents send writes to them. */
async function primaries(group: ReplicationGroup): Promise<readonly string[]> {
  const answers = await Promise.all(
    names.map(async (name) => ((await group.ask(name, '/primary')) === 200 ? [name] : [])),
  );
  return answers.flat();
}

async function begin(mode: 'SinglePrimary' | 'MultiPrimary'): Promise<ReplicationGroup> {
  const group = await replicationGroup(root, etcd ?? '', names, mode);
  await Promise.all(names.map((name) => group.start(name)));
  await allServe(group);
  const owner = `ALTER USER app@'%' IDENTIFIED BY '${applicationPassword}' ACCOUNT UNLOCK`;
  expect(group.sql(await leader(group), `${owner}; CREATE TABLE app.w (n int PRIMARY KEY)`).output).toBe('');
  return group;
}

/** Every write that was acknowledged to the application is on every member, and the members agree. */
async function nothingIsLost(group: ReplicationGroup): Promise<void> {
  await group.until('the members to agree', () => {
    const sets = names.map((name) => group.sql(name, 'SELECT @@global.gtid_executed').output);
    return sets.every((set) => set === sets[0]);
  });
  const wanted = group.acknowledged.map(({ n }) => n);
  for (const name of names) {
    const rows = new Set(group.sql(name, 'SELECT n FROM app.w').output.split('\n').map(Number));
    expect(wanted.filter((n) => !rows.has(n))).toEqual([]);
  }
}

const acknowledgedAfter = (group: ReplicationGroup, at: number): Promise<number> =>
  group.until('another write', () => group.acknowledged.some((one) => one.at > at), 60_000);

/** Longest time between two acknowledged writes since then. */
function outage({ acknowledged }: ReplicationGroup, since: number): number {
  const times = [since, ...acknowledged.map(({ at }) => at).filter((at) => at > since)];
  return Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)));
}

const told = (what: string, figures: readonly number[]): void =>
  void process.stderr.write(`measured: ${what}: ${figures.map((ms) => Math.round(ms)).join(', ')} ms\n`);

describe('a group with a single primary', () => {
  let group: ReplicationGroup;
  beforeAll(async () => {
    if (!runs) return;
    group = await begin('SinglePrimary');
  }, 300_000);
  afterAll(async () => {
    if (runs) await group.remove();
  }, 60_000);

  /** What operations of people leave in etcd. */
  const request = (kind: string, instance: string) => ({
    id: `${kind}-${instance}`,
    reason: 'test',
    deadline: new Date(Date.now() + 300_000).toISOString(),
  });
  const said = (what: string, since: number): boolean =>
    group.log.some(({ msg, time }) => String(msg).includes(what) && Number(time) >= since);
  const answered = (what: string, since: number): boolean => said(`answering a ${what}`, since);
  const incarnationOf = async (name: string): Promise<string> => (await group.members()).get(name)?.incarnation ?? '';
  const upSince = (name: string): number =>
    Date.now() - 1000 * Number(group.sql(name, "SHOW GLOBAL STATUS LIKE 'Uptime'").output.split('\t')[1]);

  onRealServers(
    title('all three start at once: one group, formed once'),
    async () => {
      const view = await group.view();
      expect(view.group?.value.number).toBe(1);
      expect(group.log.filter(({ msg }) => msg === 'forming group 1')).toHaveLength(1);
      expect(await primaries(group)).toEqual([await leader(group)]);
      expect(view.sync?.value.members).toHaveLength(2);
    },
    60_000,
  );

  onRealServers(
    title('the primary’s server is killed: another is elected, and the killed one rejoins'),
    async () => {
      await group.write('w');
      const outages: number[] = [];
      for (let round = 0; round < Number(process.env['ROUNDS'] ?? 1); round++) {
        const former = await leader(group);
        await acknowledgedAfter(group, Date.now());
        const at = Date.now();
        group.killServer(former);
        await group.until('a successor', async () => ![former, ''].includes(await leader(group)));
        await acknowledgedAfter(group, Date.now());
        outages.push(outage(group, at));
        await allServe(group);
        expect(await primaries(group)).toEqual([await leader(group)]);
      }
      told('primary killed', outages);
      expect(Math.max(...outages)).toBeLessThan(30_000);
      expect(group.acknowledged.length).toBeGreaterThan(20);
      await group.stopWriting();
      await nothingIsLost(group);
      expect((await group.view()).group?.value.number).toBe(1);
    },
    900_000,
  );

  onRealServers(
    title('a primary without a majority sends no client anywhere, and its writes are refused or wait'),
    async () => {
      const former = await leader(group);
      group.cut(former);
      const hidden = await group.until('a successor', async () => ![former, ''].includes(await leader(group)));
      told('successor of a primary that is cut off', [hidden]);
      // What it is asked to commit meanwhile can't be acknowledged.
      expect(group.sql(former, 'INSERT INTO app.w VALUES (1000001)', 60_000).ok).toBe(false);
      await group.until('the fence', () => group.sql(former, 'SELECT @@global.super_read_only').output === '1', 60_000);
      const gate = group.sql(former, 'SELECT @@global.init_connect').output;
      await group.until(
        'the gate',
        () =>
          group.sql(former, 'SELECT @@global.init_connect').output !== gate || / or .*not like 'mainstay%'/.test(gate),
      );
      group.mend(former);
      await allServe(group);
      expect(group.sql(await leader(group), 'SELECT count(*) FROM app.w WHERE n = 1000001').output).toBe('0');
      expect((await group.view()).group?.value.number).toBe(1);
    },
    300_000,
  );

  onRealServers(
    title('a switchover is the group’s own, and takes less than a second'),
    async () => {
      const from = await leader(group);
      const to = names.find((name) => name !== from) ?? '';
      const deadline = new Date(Date.now() + 60_000).toISOString();
      const begun = performance.now();
      await group.put('requests/switchover', { id: 's-1', from, to, reason: 'test', deadline });
      await group.until('the successor', async () => (await primaries(group)).join() === to);
      told('switchover, as etcd and the agents tell', [performance.now() - begun]);
      const view = await group.view();
      expect(view.leader?.value.instance).toBe(to);
      expect(view.switchover).toBeUndefined();
      expect(view.history.get(view.epoch)?.reason).toBe('Switchover');
    },
    120_000,
  );

  onRealServers(
    title('all are killed: nobody forms a group until all have told what they hold, then who holds all does'),
    async () => {
      const before = await group.view();
      const former = await leader(group);
      expect(group.sql(former, 'INSERT INTO app.w VALUES (2000001)').ok).toBe(true);
      await Promise.all(names.map((name) => group.kill(name)));
      const others = names.filter((name) => name !== former);
      await Promise.all(others.map((name) => group.start(name)));
      await group.until('both to wait for the third', async () => {
        const members = await group.members();
        return others.every((name) => members.get(name)?.message?.includes(`Needed: ${former}`) === true);
      });
      expect(await primaries(group)).toEqual([]);
      await group.start(former);
      told('all down, from the start of the last to service', [await allServe(group)]);
      const after = await group.view();
      expect(after.group?.value.number).toBeGreaterThan(before.group?.value.number ?? 0);
      expect(group.log.filter(({ msg }) => msg === `forming group ${after.group?.value.number}`)).toHaveLength(1);
      for (const name of names) expect(group.sql(name, 'SELECT n FROM app.w WHERE n = 2000001').output).toBe('2000001');
      await nothingIsLost(group);
    },
    400_000,
  );

  onRealServers(
    title('a member whose volume is lost is cloned anew and joins'),
    async () => {
      const lost = names.find((name) => name !== 'g-1') ?? '';
      await group.loseVolume(lost);
      await group.until('the others to notice', async () => (await serving(group)).length === 2);
      await group.start(lost);
      await allServe(group);
      await nothingIsLost(group);
    },
    300_000,
  );

  onRealServers(
    title('a secondary restarts in place as asked, and so does the primary: another is elected, and no write is lost'),
    async () => {
      await group.write('w');
      const first = await leader(group);
      const secondary = names.find((name) => name !== first) ?? '';
      for (const target of [secondary, first]) {
        const at = Date.now();
        await group.put(`requests/restart/${target}`, request('restart', target));
        await group.until('the answer', () => answered(`restart: ${target} has stopped`, at), 60_000);
        await allServe(group);
        expect(upSince(target)).toBeGreaterThan(at - 1000);
        expect((await group.view()).restarts.size).toBe(0);
        await acknowledgedAfter(group, Date.now());
        told(`${target === first ? 'primary' : 'secondary'} restarted`, [outage(group, at)]);
        expect(await primaries(group)).toEqual([await leader(group)]);
      }
      expect(await leader(group)).not.toBe(first);
      await group.stopWriting();
      await nothingIsLost(group);
    },
    400_000,
  );

  onRealServers(
    title('a secondary is copied anew as asked, which a primary refuses'),
    async () => {
      await group.write('w');
      const primary = await leader(group);
      const target = names.find((name) => name !== primary) ?? '';
      const before = await incarnationOf(target);
      const at = Date.now();
      const asked = async (instance: string): Promise<object> => ({
        ...request('reinitialize', instance),
        incarnation: await incarnationOf(instance),
      });
      await group.put(`requests/reinitialize/${primary}`, await asked(primary));
      await group.until('the refusal', () => answered(`reinitialization: ${primary} is primary`, at), 30_000);
      await group.put(`requests/reinitialize/${target}`, await asked(target));
      await group.until('the answer', () => answered(`reinitialization: ${target} has new data`, at), 180_000);
      await allServe(group);
      expect(await incarnationOf(target)).not.toBe(before);
      expect(await leader(group)).toBe(primary);
      expect((await group.view()).reinitializations.size).toBe(0);
      await group.until('it to count again', async () =>
        Boolean((await group.view()).sync?.value.members.some(({ instance }) => instance === target)),
      );
      await acknowledgedAfter(group, Date.now());
      told('secondary copied anew', [outage(group, at)]);
      await group.stopWriting();
      await nothingIsLost(group);
    },
    400_000,
  );

  onRealServers(
    title(
      'a primary that is fenced stops and stays so, with another agent too; without its fence it is a member again',
    ),
    async () => {
      await group.write('w');
      const fenced = await leader(group);
      const at = Date.now();
      const { id, reason } = request('fence', fenced);
      await group.put(`fences/${fenced}`, { id, reason, incarnation: await incarnationOf(fenced) });
      const stopped = async (): Promise<boolean> => (await group.members()).get(fenced)?.state === 'stopped';
      await group.until('it to be stopped', async () => (await stopped()) && (await leader(group)) !== fenced, 60_000);
      await group.until('another', async () => (await primaries(group)).length === 1, 60_000);
      await acknowledgedAfter(group, Date.now());
      told('primary fenced', [outage(group, at)]);
      await group.end(fenced);
      const ended = Date.now();
      await group.start(fenced);
      await group.until('its new agent to heed it', () => said('fenced: test', ended));
      await group.until('it to say so', stopped);
      expect(group.sql(fenced, 'SELECT 1').ok).toBe(false);
      await group.withdraw(`fences/${fenced}`);
      await allServe(group);
      await group.stopWriting();
      await nothingIsLost(group);
    },
    400_000,
  );

  onRealServers(
    title('a member that is ended takes its leave: the others elect at once'),
    async () => {
      const successions: number[] = [];
      for (let round = 0; round < Number(process.env['ROUNDS'] ?? 1); round++) {
        const former = await leader(group);
        const begun = performance.now();
        const ended = group.end(former);
        await group.until('a successor', async () => ![former, ''].includes(await leader(group)));
        successions.push(performance.now() - begun);
        await ended;
        await group.start(former);
        await allServe(group);
      }
      told('primary ended in order', successions);
    },
    900_000,
  );
});

describe('a group of many primaries', () => {
  let group: ReplicationGroup;
  beforeAll(async () => {
    if (!runs) return;
    group = await begin('MultiPrimary');
  }, 300_000);
  afterAll(async () => {
    if (runs) await group.remove();
  }, 60_000);

  onRealServers(
    title('all accept writes, and of two that change one row the later fails'),
    async () => {
      await group.until('all to be primary', async () => (await primaries(group)).length === 3);
      const [one = '', two = ''] = names;
      expect(group.sql(one, 'INSERT INTO app.w VALUES (1)').ok).toBe(true);
      expect(group.sql(two, 'INSERT INTO app.w VALUES (2)').ok).toBe(true);
      // Both have read the row before either commits.
      const rounds = await Promise.all(
        names.map((name) =>
          group.sqlAsync(name, 'BEGIN; UPDATE app.w SET n = n + 10 WHERE n = 1; DO SLEEP(1); COMMIT'),
        ),
      );
      expect(rounds.filter(({ ok }) => ok)).toHaveLength(1);
      expect(rounds.filter(({ ok }) => !ok).every(({ output }) => /ERROR (3101|1180|1213)/.test(output))).toBe(true);
    },
    120_000,
  );

  onRealServers(
    title('any is killed: the others go on, and one of them speaks for the group'),
    async () => {
      const former = await leader(group);
      await group.write('w');
      await acknowledgedAfter(group, Date.now());
      group.killServer(former);
      await group.until('another to speak for it', async () => ![former, ''].includes(await leader(group)));
      expect((await primaries(group)).includes(former)).toBe(false);
      await allServe(group);
      await group.until('all to be primary', async () => (await primaries(group)).length === 3);
      await group.stopWriting();
      await nothingIsLost(group);
    },
    300_000,
  );
});
