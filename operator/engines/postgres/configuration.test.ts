/** Settings on real servers: what is refused changes nothing, what needs a restart says so, what standbys can't lower. */
import { expect } from '@jest/globals';
import type { Definition, Member } from '../../api/cluster-state.ts';
import { drivePostgres, postgresGroup, type DrivenPostgres } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

type Change = Partial<Definition>;
const show = (pg: DrivenPostgres, name: string): string => pg.psql(`SHOW ${name}`).output;
const seen = async (pg: DrivenPostgres, definition: Change): Promise<Partial<Member>> =>
  (await pg.observe({ definition })).member;

async function serving(parameters: Record<string, string> = {}): Promise<DrivenPostgres> {
  const pg = removedAfterwards(await drivePostgres(root, { parameters }));
  await pg.serve();
  return pg;
}

/** As its agent would do it: reload, then say what it thinks of it. */
async function given(pg: DrivenPostgres, definition: Change): Promise<Partial<Member>> {
  await pg.configure({ definition });
  return seen(pg, definition);
}

async function restarted(pg: DrivenPostgres, definition: Change): Promise<Partial<Member>> {
  await pg.run({ type: 'stop', inPlace: true }, undefined, { definition });
  await pg.run({ type: 'start' }, undefined, { definition });
  return seen(pg, definition);
}

onRealServers(
  title('what PostgreSQL refuses changes nothing, and is told with its words'),
  async () => {
    const pg = await serving({ work_mem: '5MB' });
    expect(await given(pg, { parameters: { work_mem: '6MB' } })).not.toHaveProperty('settingsRefused');
    const refusals: readonly (readonly [Change, RegExp])[] = [
      [{ parameters: { work_mem: 'much' } }, /^invalid value for parameter "work_mem": "much"/],
      [{ parameters: { no_such_thing: '1' } }, /^unrecognized configuration parameter "no_such_thing"/],
      [
        { parameters: {}, postgres: { libraries: ['pg_nothing'], hba: [], ident: [] } },
        /^shared_preload_libraries: the image has no library pg_nothing/,
      ],
      [
        { parameters: {}, postgres: { libraries: [], hba: ['host all all all ldap'], ident: [] } },
        /^pg_hba: authentication method "ldap" requires argument/,
      ],
    ];
    for (const [definition, why] of refusals) {
      expect((await given(pg, definition)).settingsRefused).toMatch(why);
      expect(show(pg, 'work_mem')).toBe('6MB');
      expect(pg.psql('SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL').output).toBe('0');
    }
    const well = { parameters: { work_mem: '7MB' } };
    expect(await given(pg, well)).not.toHaveProperty('settingsRefused');
    expect(show(pg, 'work_mem')).toBe('7MB');
  },
  240_000,
);

onRealServers(
  title('settings that only a start shows to be wrong: the former ones start it'),
  async () => {
    const pg = await serving({ work_mem: '5MB' });
    const greedy = { parameters: { work_mem: '6MB', huge_pages: 'on', shared_buffers: '256MB' } };
    expect(await given(pg, greedy)).toMatchObject({ pendingRestart: ['huge_pages', 'shared_buffers'] });
    const after = await restarted(pg, greedy);
    expect(after.settingsRefused).toMatch(/^PostgreSQL ended while starting: FATAL: .*shared memory/);
    expect(after).not.toHaveProperty('pendingRestart');
    expect([show(pg, 'work_mem'), show(pg, 'shared_buffers')]).toEqual(['5MB', '128MB']);
    // With rules that no start would take.
    const lockedOut = { parameters: {}, postgres: { libraries: [], hba: ['host all all all ldap'], ident: [] } };
    expect((await restarted(pg, lockedOut)).settingsRefused).toMatch(/could not load .*pg_hba.conf/);
    expect(show(pg, 'work_mem')).toBe('5MB');
    const better = { parameters: { shared_buffers: '64MB' } };
    expect(await restarted(pg, better)).not.toHaveProperty('settingsRefused');
    expect(show(pg, 'shared_buffers')).toBe('64MB');
  },
  240_000,
);

onRealServers(
  title('rules of the user let clients in, and neither postgres nor anybody as an agent'),
  async () => {
    const pg = await serving();
    const loose = ['host all all all trust', 'host replication all all trust', 'local all all trust'];
    const definition = { postgres: { libraries: ['auto_explain'], hba: loose, ident: ['people /^(.*)@x$ \\1'] } };
    expect(await given(pg, definition)).toMatchObject({ pendingRestart: ['shared_preload_libraries'] });
    pg.psql('CREATE ROLE visitor LOGIN');
    const client = (user: string, extra: string, statement: string): string =>
      pg
        .psql(`\\! psql "host=127.0.0.1 user=${user} dbname=postgres ${extra}" -XAtc '${statement}' 2>&1`)
        .output.replace(/^sh: .*getcwd.*\n?/m, '')
        .trim();
    const connect = (user: string): string => client(user, '', 'SELECT 1');
    const via = (user: string): string => client(user, 'replication=true', 'IDENTIFY_SYSTEM');
    expect(connect('visitor')).toBe('1');
    expect(connect('postgres')).toMatch(/pg_hba.conf rejects connection for .*"postgres"/);
    expect(connect('mainstay_rewind')).toMatch(/fe_sendauth: no password supplied|password authentication failed/);
    for (const user of ['postgres', 'mainstay_replication', 'mainstay_rewind'])
      expect(via(user)).toMatch(/rejects|no password supplied|password authentication failed/);
    expect((await restarted(pg, definition)).settingsRefused).toBeUndefined();
    expect(show(pg, 'shared_preload_libraries')).toBe('auto_explain');
  },
  240_000,
);

onRealServers(
  title('what standbys can’t have less of: raised on the replica first, lowered on the primary first'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['a', 'b']));
    const [a, b] = [group.server('a'), group.server('b')];
    const all = async (definition: Change): Promise<readonly Partial<Member>[]> => {
      group.define(definition);
      await Promise.all([group.configure('a'), group.configure('b')]);
      return [await seen(a, definition), await seen(b, definition)];
    };
    const connections = (): readonly string[] => [show(a, 'max_connections'), show(b, 'max_connections')];
    const start = { parameters: { max_connections: '100', max_prepared_transactions: '5' } };
    group.define(start);
    await group.found('a');
    await group.add('b');
    expect(connections()).toEqual(['100', '100']);

    const more = { parameters: { max_connections: '150', max_prepared_transactions: '10' } };
    const names = ['max_connections', 'max_prepared_transactions'];
    expect(await all(more)).toMatchObject([{ pendingRestart: names }, { pendingRestart: names }]);
    await group.run('b', { type: 'stop', inPlace: true });
    await group.return('b');
    expect(connections()).toEqual(['100', '150']);
    await group.run('a', { type: 'stop' });
    await group.run('a', { type: 'start' });
    await group.elect('b', ['a']);
    expect(connections()).toEqual(['150', '150']);
    expect((await all(more)).map(({ pendingRestart }) => pendingRestart)).toEqual([undefined, undefined]);

    const less = { parameters: { max_connections: '50' } };
    const [replica, primary] = await all(less);
    expect(replica).not.toHaveProperty('pendingRestart');
    expect(primary).toMatchObject({ pendingRestart: names, restartInPlace: true });
    // A restart of the replica would not help, nor harm.
    await group.run('a', { type: 'stop', inPlace: true });
    await group.return('a');
    expect(connections()).toEqual(['150', '150']);
    await group.run('b', { type: 'stop', inPlace: true });
    await group.run('b', { type: 'start' });
    await group.elect('b', ['a']);
    expect(connections()).toEqual(['150', '50']);
    expect(await seen(b, less)).not.toHaveProperty('pendingRestart');
    await group.until('the replica to see that it may have less', async () => {
      await group.configure('a');
      return (await seen(a, less)).pendingRestart?.includes('max_connections') === true;
    });
    await group.run('a', { type: 'stop', inPlace: true });
    await group.return('a');
    expect(connections()).toEqual(['50', '50']);
    expect(b.psql('CREATE TABLE t (n int)').ok).toBe(true);
  },
  240_000,
);
