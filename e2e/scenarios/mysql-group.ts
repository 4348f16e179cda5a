import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { repository } from '../../hack/testbed/cluster-access.ts';
import { databaseCluster } from '../../hack/testbed/database-cluster.ts';
import { seconds } from '../../hack/testbed/until.ts';
import { startWriter } from '../../hack/testbed/writer.ts';
import { violationsOf } from '../../hack/writer/verdict.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const name = 'orders';

scenario(
  'a group of MySQL comes up, loses its primary’s node, then the next primary’s Pod, and no acknowledged write',
  { orders: 'none', localNodes: true, operator: 'needed' },
  async ({ orders: { namespace }, nodes, access, api, signal }) => {
    const mysql = databaseCluster({ access, api, signal }, { namespace, name, kind: 'MySQLCluster' });
    const example = parse(await readFile(path.join(repository, 'examples/mysql-group.yaml'), 'utf8')) as {
      spec: object;
    };
    const manifest = { ...example, metadata: { name, namespace }, spec: { ...example.spec, deletionPolicy: 'Delete' } };
    await access.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest), signal });
    try {
      await mysql.fullyRedundant({ within: budgets.groupRedundantMs });
      const first = await mysql.primary();
      const node = (await nodes.names()).find((other) => other !== first.node) ?? first.node;
      const writer = await startWriter(
        { access, api, signal },
        { namespace, cluster: name, node, table: 'group_writes' },
      );
      try {
        await writer.acknowledgedAgain({ within: budgets.groupOutageMs });
        await nodes.powerOff(first.node);
        const second = await mysql.primaryOtherThan(first, { within: budgets.groupOutageMs });
        await writer.acknowledgedAgain({ within: budgets.groupOutageMs });
        await nodes.powerOn(first.node);
        await mysql.fullyRedundant({ within: budgets.groupRedundantMs });

        await access.kubectl(
          ['delete', 'pod', '--namespace', namespace, second.instance, '--grace-period=0', '--force', '--wait=false'],
          { signal },
        );
        await mysql.primaryOtherThan(second, { within: budgets.groupOutageMs });
        await writer.acknowledgedAgain({ within: budgets.groupOutageMs });
        await mysql.fullyRedundant({ within: budgets.groupRedundantMs });
        assert.deepEqual(violationsOf(await writer.stop()), []);
      } finally {
        await writer.remove();
      }
    } finally {
      await mysql.delete({ within: seconds(120) });
    }
  },
);
