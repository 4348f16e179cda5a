/** Agents of this version and of the one before in one cluster, on real servers and a real etcd. */
import { beforeAll, expect, test } from '@jest/globals';
import path from 'node:path';
import type { ClusterKind } from '../../operator/api/database-cluster.ts';
import { findEtcdBinary } from '../../operator/dcs/local-etcd.ts';
import { bundleProgram } from '../build/bundle.ts';
import { agentCluster, type AgentCluster, type AgentProgram } from '../container/agents.ts';
import { realServers } from '../container/real-servers.ts';
import { seconds } from '../testbed/until.ts';
import { violationsOf } from '../writer/verdict.ts';
import { previousVersion } from './tree.ts';

const etcd = await findEtcdBinary();
const engines = [
  { kind: 'PostgresCluster', servers: await realServers() },
  { kind: 'MySQLCluster', servers: await realServers('mysql') },
] as const;

let bundles: { readonly previous: string; readonly current: string };
beforeAll(async () => {
  const { folder } = await previousVersion();
  bundles = { previous: path.join(folder, 'build/agent.mjs'), current: (await bundleProgram('agent')).file };
}, 300_000);

/** Three times what a busy machine needs. */
const limit = 1_200_000;

interface Mixed {
  readonly cluster: AgentCluster;
  readonly previous: AgentProgram;
  readonly current: AgentProgram;
  /** A Pod of the other version in place of this one. */
  readonly replace: (instance: string, program: AgentProgram) => Promise<void>;
}

async function mixed(kind: ClusterKind, root: string, binary: string): Promise<Mixed> {
  const cluster = await agentCluster({ kind, root, etcd: binary });
  return {
    cluster,
    previous: await cluster.install('previous', bundles.previous),
    current: await cluster.install('current', bundles.current),
    replace: async (instance, program) => {
      await cluster.end(instance);
      await cluster.start(instance, program);
      await cluster.allCount();
    },
  };
}

for (const { kind, servers } of engines) {
  const onRealServers = etcd === undefined ? test.skip : servers.onRealServers;

  onRealServers(
    servers.title(
      `${kind}: from the version before to this one and back, under load, and elections among mixed agents`,
    ),
    async () => {
      const { cluster, previous, current, replace } = await mixed(kind, servers.root, etcd ?? '');
      servers.removedAfterwards(cluster);
      const { instances } = cluster;
      for (const instance of instances) await cluster.start(instance, previous);
      const first = await cluster.primary();
      await cluster.allCount();
      const writer = await cluster.startWriter();
      await writer.acknowledgedAgain({ within: seconds(60) });
      await writer.mark('trouble');

      // One old primary, two new replicas: they elect without it.
      const [second, third] = instances.filter((instance) => instance !== first) as [string, string];
      await replace(second, current);
      await replace(third, current);
      expect(await cluster.primary()).toBe(first);
      await cluster.kill(first);
      const elected = await cluster.primaryOtherThan(first);
      await writer.acknowledgedAgain({ within: seconds(60) });

      // The old one comes back to a new primary, and is handed leadership and hands it on.
      await cluster.start(first, previous);
      await cluster.allCount();
      await cluster.handOverTo(first);
      await cluster.handOverTo(elected);

      // One new primary, two old replicas: back to the version before, and again they elect without it.
      const other = elected === second ? third : second;
      await replace(other, previous);
      await cluster.kill(elected);
      const again = await cluster.primaryOtherThan(elected);
      expect([first, other]).toContain(again);
      await writer.acknowledgedAgain({ within: seconds(60) });
      await cluster.start(elected, current);
      await cluster.allCount();

      // All of them new, the last one by a hand-over that the end of its Pod asks for.
      await replace(again === first ? other : first, current);
      await replace(again, current);
      await writer.acknowledgedAgain({ within: seconds(60) });

      const report = await cluster.finish(writer);
      expect(violationsOf(report)).toEqual([]);
      expect(report.acked).toBeGreaterThan(100);
    },
    limit,
  );
}
