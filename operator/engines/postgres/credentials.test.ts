/** New passwords among the instances, on real servers that stream. */
import { writeFileSync } from 'node:fs';
import { expect } from '@jest/globals';
import { postgresGroup, type PostgresGroup } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { credentialsDigest } from '../../api/declared-password.ts';
import type { PostgresDeclaration } from '../../api/postgres-declaration.ts';
import { scramVerifier } from '../../platform/scram.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

async function declarationOf(replication: string, rewind: string) {
  const password = async (text: string) => ({ verifier: await scramVerifier(text, text), revision: text });
  const system = { replication: await password(replication), rewind: await password(rewind) };
  const declaration: PostgresDeclaration = { system, roles: [], databases: [] };
  return { declaration, digest: credentialsDigest(system) };
}

onRealServers(
  title('replicas stream on through a change of passwords, whoever learns of it first'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2', 't-3']));
    await group.found('t-1');
    await group.add('t-2');
    const { declaration, digest } = await declarationOf('new replication', 'new rewind');
    const primary = group.server('t-1');
    const sql = (name: string, text: string): string => {
      const { ok, output } = group.server(name).psql(text);
      if (!ok) throw new Error(`${name}: ${output}`);
      return output;
    };
    const held = async (name: string): Promise<string | undefined> =>
      (await group.server(name).observe({ declaration: JSON.stringify(declaration) })).member.credentials;
    const streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    const breakStreams = (): Promise<void> => {
      const before = sql('t-1', 'SELECT min(backend_start) FROM pg_stat_replication');
      sql('t-1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
      return group.until(
        'new streams',
        () =>
          sql('t-1', streams) === '1' && sql('t-1', 'SELECT min(backend_start) FROM pg_stat_replication') !== before,
        60_000,
      );
    };

    mount(group, 't-1');
    expect([await held('t-1'), await held('t-2')]).toEqual([digest, undefined]);
    expect(await primary.declare(declaration, ['t-2'])).toMatchObject([{ state: 'waiting' }, { state: 'waiting' }]);
    await breakStreams();

    // A replica that has it before the primary goes on with the former one.
    mount(group, 't-2');
    expect(await held('t-2')).toBe(digest);
    await breakStreams();

    const began = sql('t-1', 'SELECT backend_start FROM pg_stat_replication');
    expect(await primary.declare(declaration)).toEqual([]);
    expect(sql('t-1', 'SELECT backend_start FROM pg_stat_replication')).toBe(began);
    await breakStreams();
    sql('t-1', 'CREATE TABLE t (n int)');

    // A new instance knows the new ones alone; a replica elected from before the change would want the former again.
    mount(group, 't-3');
    await group.add('t-3');
    const former = await declarationOf('replication', 'rewind');
    expect(await primary.declare(former.declaration)).toEqual([]);
    sql('t-1', "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name LIKE 't-2:%'");
    await group.until(
      'the stream by the former password',
      () => sql('t-1', `${streams} AND application_name LIKE 't-2:%'`) === '1',
      60_000,
    );
  },
  240_000,
);

/** As the kubelet brings them. */
function mount(group: PostgresGroup, name: string): void {
  const inside = group
    .server(name)
    .container.processes()
    .find(({ innerPid }) => innerPid === 1);
  for (const key of ['replication', 'rewind'])
    writeFileSync(`/proc/${inside?.pid ?? 0}/root/tmp/secrets/system/${key}-password`, `new ${key}`);
}
