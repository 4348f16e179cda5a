/** What the histogram of failovers tells is what a client that writes all the time has seen: real agents, servers and etcd. */
import { beforeAll, expect, test } from '@jest/globals';
import { bundleProgram } from '../../hack/build/bundle.ts';
import { agentCluster } from '../../hack/container/agents.ts';
import { realServers } from '../../hack/container/real-servers.ts';
import { seconds } from '../../hack/testbed/until.ts';
import { findEtcdBinary } from '../dcs/local-etcd.ts';

const etcd = await findEtcdBinary();
const servers = await realServers();
const onRealServers = etcd === undefined ? test.skip : servers.onRealServers;

let bundle = '';
beforeAll(async () => {
  bundle = (await bundleProgram('agent')).file;
}, 60_000);

/** Of all changes that ended on this instance, whatever their reason. */
const told = (metrics: string): number =>
  [...metrics.matchAll(/^mainstay_failover_duration_seconds_sum\{.*\} (.*)$/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );

onRealServers(
  servers.title('a primary is lost: the successor’s histogram and the client agree; so do they after a hand-over'),
  async () => {
    const cluster = servers.removedAfterwards(
      await agentCluster({ kind: 'PostgresCluster', root: servers.root, etcd: etcd ?? '' }),
    );
    const program = await cluster.install('current', bundle);
    for (const instance of cluster.instances) await cluster.start(instance, program);
    const first = await cluster.primary();
    await cluster.allCount();
    expect(await cluster.metrics(first)).toMatch(/^pg_up 1$/m);
    // The first data end no outage.
    expect(await cluster.metrics(first)).not.toContain('reason="Bootstrap"');
    const writer = await cluster.startWriter();
    await writer.acknowledgedAgain({ within: seconds(60) });
    const seen = async (mark: string): Promise<number> =>
      ((await writer.state()).marks[mark]?.longestGap?.milliseconds ?? NaN) / 1000;
    /** Half a second between two questions to the primary, and what a client needs to come back on a busy machine. */
    const agree = (duration: number, gap: number): void => {
      process.stderr.write(`outage: ${duration.toFixed(2)} s told, ${gap.toFixed(2)} s seen\n`);
      expect(duration).toBeGreaterThan(0);
      expect(duration).toBeLessThan(gap + 1.5);
      expect(duration).toBeGreaterThan(gap / 3 - 0.5);
    };

    // A busy machine may have had a change of primary before.
    const toldBy = async (): Promise<ReadonlyMap<string, number>> =>
      new Map(
        await Promise.all(
          cluster.instances.map(async (name) => [name, told(await cluster.metrics(name).catch(() => ''))] as const),
        ),
      );
    const since = async (before: ReadonlyMap<string, number>, winner: string): Promise<number> =>
      told(await cluster.metrics(winner)) - (before.get(winner) ?? 0);

    const beforeLoss = await toldBy();
    await writer.mark('lost');
    await cluster.kill(first);
    const second = await cluster.primaryOtherThan(first);
    await writer.acknowledgedAgain({ within: seconds(60) });
    agree(await since(beforeLoss, second), await seen('lost'));

    await cluster.start(first, program);
    await cluster.allCount();
    const beforeEnd = await toldBy();
    await writer.mark('handed over');
    await cluster.end(second);
    const third = await cluster.primaryOtherThan(second);
    await writer.acknowledgedAgain({ within: seconds(60) });
    agree(await since(beforeEnd, third), await seen('handed over'));
    expect((await cluster.finish(writer)).lost).toBe(0);
  },
  900_000,
);
