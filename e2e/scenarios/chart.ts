import assert from 'node:assert/strict';
import path from 'node:path';
import type { V1Pod } from '@kubernetes/client-node';
import { previousVersion } from '../../hack/previous/tree.ts';
import { repository } from '../../hack/testbed/cluster-access.ts';
import {
  archiveMark,
  images,
  load,
  operatorDeployment,
  releaseName,
  systemNamespace,
} from '../../hack/testbed/deployment.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type World } from '../scenario.ts';

const helmMs = 5 * 60_000;
const previousImage = 'mainstay.dev/mainstay:previous';
const currentImage = 'mainstay.dev/mainstay:dev';

scenario(
  'Mainstay is uninstalled, installed as it was a version ago, upgraded, rolled back: no database stops for it, and old and new elect together',
  { localNodes: true, operator: 'needed' },
  async (world) => {
    const { orders, writeBeside, nodes, access, signal } = world;
    const say = (): void => undefined;
    const archives = await images({ say, signal }, ['previous']);
    await load(archives, { say, signal });
    const chartOf = {
      previous: path.join((await previousVersion(signal)).folder, 'charts/mainstay'),
      current: path.join(repository, 'charts/mainstay'),
    };
    const valuesOf = { previous: ['--set', 'image.tag=previous'], current: [] };
    const release = [releaseName, '--namespace', systemNamespace];
    const helm = (verb: string, ...more: readonly string[]): Promise<string> =>
      access.helm([verb, ...release, ...more], { timeoutMs: helmMs });
    const waiting = ['--wait', '--timeout', '4m'];
    const upgrade = (to: 'previous' | 'current'): Promise<string> =>
      access.helm(
        [
          ...['upgrade', '--install', releaseName, chartOf[to], '--namespace', systemNamespace, '--reset-values'],
          ...[...valuesOf[to], '--force-conflicts', ...waiting],
        ],
        { timeoutMs: helmMs },
      );
    const deployment = ['--namespace', systemNamespace, `deployment/${operatorDeployment}`];
    const mark = await access.kubectl(['get', ...deployment, '--output', `jsonpath=${archiveMark.jsonPath}`]);

    /** That operator is content with the cluster, and has touched none of its Pods. */
    const undisturbed = async (pods: readonly string[], image: string): Promise<void> => {
      const ofOperator = 'jsonpath={.spec.template.spec.containers[0].image}';
      assert.equal(await access.kubectl(['get', ...deployment, '--output', ofOperator]), image);
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await orders.allCount({ within: budgets.redundantMs });
      assert.deepEqual(await lives(world), pods, 'no Pod has been replaced, no database restarted');
    };
    const lostAgent = async (): Promise<void> => {
      await client.expectTrouble();
      const primary = await orders.primary();
      await nodes.killAgent(primary.podUid);
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await orders.allCount({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.outageMs);
    };

    await orders.fullyRedundant({ within: budgets.redundantMs });
    const client = await writeBeside(await orders.primary());
    try {
      const [pods, kept] = [await lives(world), await keptIn(world)];
      await client.expectTrouble();
      const said = await helm('uninstall', '--wait', '--timeout', '2m');
      for (const { name } of kept.definitions) assert.ok(said.includes(name), `helm uninstall says that ${name} stays`);
      assert.deepEqual(await keptIn(world), kept, 'definitions, clusters, volumes, Secrets and etcd’s volumes stay');
      assert.deepEqual(await lives(world), pods);
      await client.acknowledgedAgain({ within: budgets.outageMs });

      // The operator of the version before, agents of this one.
      await upgrade('previous');
      await undisturbed(pods, previousImage);
      await client.outageIsAtMost(budgets.outageMs);
      const [replica] = await orders.replicas();
      assert.ok(replica);
      const moved = await access.mainstay(['switchover', 'orders', '--to', replica.name, '-n', orders.namespace], {
        timeoutMs: 120_000,
      });
      assert.equal(moved.code, 0, moved.stderr);

      // It makes an instance anew, with its own agent: one old, two new.
      const [remade] = await orders.replicas();
      assert.ok(remade);
      await access.kubectl(['delete', 'pod', '--namespace', orders.namespace, remade.name, '--wait=true']);
      await until(
        `${remade.name} with an agent of the version before`,
        async () =>
          (await agentImages(world)).get(remade.name) === previousImage ? yes(undefined) : notYet('not yet'),
        { within: budgets.redundantMs, signal },
      );
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await orders.allCount({ within: budgets.redundantMs });
      await lostAgent();

      // The upgrade: an operator of this version, a cluster of both.
      const mixed = await lives(world);
      await upgrade('current');
      await undisturbed(mixed, currentImage);
      // Whoever has lost its agent may have been made anew as well.
      const agents = [...(await agentImages(world))];
      const old = agents.flatMap(([name, image]) => (image === previousImage ? [name] : [])).toSorted();
      assert.ok(old.includes(remade.name) && old.length < agents.length, `of the version before: ${old.join()}`);
      await until(
        `status names ${old.join()} as of an earlier version`,
        async () => {
          const earlier = (await orders.resource())?.status?.earlierPods ?? [];
          return earlier.join() === old.join() ? yes(undefined) : notYet(earlier.join());
        },
        { within: seconds(60), signal },
      );
      assert.match(await helm('test', '--timeout', '2m'), /Phase:\s+Succeeded/);
      await lostAgent();

      const afterwards = await lives(world);
      await helm('rollback', '1', '--force-conflicts', ...waiting);
      await undisturbed(afterwards, previousImage);
      await upgrade('current');
      await undisturbed(afterwards, currentImage);

      // Where it is wished for, the operator brings all to its own version.
      await orders.change({ operatorUpgrades: 'ReplacePods' });
      await until(
        'every Pod of this version',
        async () => {
          const old = [...(await agentImages(world)).values()].filter((image) => image !== currentImage);
          return old.length === 0 ? yes(undefined) : notYet(old.join());
        },
        { within: budgets.redundantMs, signal },
      );
      await orders.change({ operatorUpgrades: null });
      await orders.fullyRedundant({ within: budgets.redundantMs });
    } finally {
      await upgrade('current');
      // By it, the next deployment sees whether the image has changed meanwhile.
      if (mark !== '')
        await access.kubectl(['annotate', '--overwrite', ...deployment, `${archiveMark.annotation}=${mark}`]);
    }
  },
);

/** Each Pod, and how often its containers have started anew. */
const lives = async ({ orders }: World): Promise<readonly string[]> =>
  (await orders.pods()).map(({ name, uid, restarts }) => `${name} ${uid} ${restarts}`).toSorted();

/** Of the init container that brings the agent, by instance. */
async function agentImages({ orders, api }: World): Promise<ReadonlyMap<string, string>> {
  const list = await api.get<{ readonly items: readonly V1Pod[] }>(
    `/api/v1/namespaces/${orders.namespace}/pods?labelSelector=${encodeURIComponent('mainstay.dev/cluster=orders,mainstay.dev/instance')}`,
  );
  return new Map(
    (list?.items ?? []).map(({ metadata, spec }) => [metadata?.name ?? '', spec?.initContainers?.[0]?.image ?? '']),
  );
}

interface Named {
  readonly name: string;
  readonly uid: string;
}

/** What must outlive a release. */
async function keptIn({ orders, access }: World) {
  const list = async (...what: readonly string[]): Promise<readonly Named[]> => {
    const { items } = JSON.parse(await access.kubectl(['get', ...what, '--output', 'json'])) as {
      readonly items: readonly { readonly metadata: Named }[];
    };
    return items.map(({ metadata: { name, uid } }) => ({ name, uid })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  };
  const own = ['--namespace', orders.namespace];
  return {
    definitions: await list('customresourcedefinitions', '--selector', 'app.kubernetes.io/name=mainstay'),
    clusters: await list('postgresclusters,mysqlclusters', '--all-namespaces'),
    volumes: await list('persistentvolumeclaims', ...own),
    secrets: await list('secrets', ...own),
    etcd: await list('persistentvolumeclaims', '--namespace', systemNamespace),
  };
}
