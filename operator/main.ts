/** The operator: entry point of operator.mjs. */
import { randomUUID } from 'node:crypto';
import { Registry, collectDefaultMetrics } from 'prom-client';
import { operatorMetrics } from './controllers/metrics.ts';
import { runControllers } from './controllers/run-controllers.ts';
import { keepOwnEtcd, prepareOwnEtcd } from './controllers/own-etcd/keep.ts';
import type { OwnEtcd } from './controllers/own-etcd/secrets.ts';
import { asFiles, credentialsIn, type CredentialsSource } from './dcs/etcd-credentials.ts';
import { guardEtcd } from './dcs/etcd-guard.ts';
import { etcdUsers } from './dcs/etcd-users.ts';
import { etcdDcs } from './dcs/etcd.ts';
import { explain } from './ha/explain.ts';
import { parseView } from './ha/view.ts';
import { startHttpServer } from './http-server.ts';
import { fromKubeconfig, inCluster } from './kubernetes/access.ts';
import { kubernetesClient, type KubernetesClient } from './kubernetes/client.ts';
import { fenced } from './kubernetes/fence.ts';
import { createEventRecorder } from './kubernetes/events.ts';
import { createLeaderElection } from './kubernetes/leader-election.ts';
import { runtimeMetrics } from './kubernetes/metrics.ts';
import { surroundingsFrom } from './kubernetes/surroundings.ts';
import type { Clock } from './platform/clock.ts';
import { createLogger } from './platform/log.ts';
import { profileWhenAsked, usualProfiling } from './platform/profile.ts';
import type { Installation } from './resources/installation.ts';
import { readSettings, type Settings } from './settings.ts';

const leaseName = 'mainstay-operator';
/** Kubernetes kills the Pod after 30 s; what has not ended by then is not worth waiting for. */
const stopWithinMs = 20_000;

/** An operator that the API server does not answer is started anew. */
const prepareWithinMs = 10_000;

const log = createLogger('operator');

// Half a process is worse than none: the other replica takes over, and the kubelet starts this one anew.
const crash = (error: unknown): never => {
  log.fatal({ err: error }, 'unexpected error; exiting');
  process.exit(1);
};
process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);

await run();

/** What the etcd of this installation asks for. Made here, as nobody else could: the members wait for it too. */
async function ownEtcdOf(settings: Settings, name: string, client: KubernetesClient, clock: Clock) {
  const of: OwnEtcd = { namespace: settings.podNamespace, name, endpoints: settings.installation.etcdEndpoints };
  const made = await prepareOwnEtcd(client, of, clock.wall().getTime(), { timeoutMs: prepareWithinMs });
  return { of, credentials: () => made, password: made.password ?? '' };
}

async function run(): Promise<void> {
  const settings = readSettings(process.env);
  const surroundings = surroundingsFrom({ log });
  const registry = new Registry();
  // By default it wakes the process a hundred times a second to measure how late it is.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 });
  const metrics = runtimeMetrics(registry);
  const access = settings.kubeconfig === undefined ? await inCluster() : await fromKubeconfig(settings.kubeconfig);
  const client = kubernetesClient(access, { ...surroundings, metrics });
  const { clock } = surroundings;
  profileWhenAsked({ program: 'operator', ...usualProfiling }, clock, log);
  const ownEtcd =
    settings.ownEtcd === undefined ? undefined : await ownEtcdOf(settings, settings.ownEtcd, client, clock);
  const credentials: CredentialsSource | undefined =
    ownEtcd?.credentials ??
    (settings.etcdCredentials === undefined
      ? undefined
      : credentialsIn(settings.etcdCredentials, (problem) =>
          log.error({ err: problem }, 'the renewed credentials of etcd can’t be used; going on with the former'),
        ));
  const installation = (): Installation => ({
    ...settings.installation,
    ...(credentials && { etcdCredentials: asFiles(credentials()) }),
  });
  const etcd = {
    endpoints: settings.installation.etcdEndpoints,
    clock,
    ...(credentials && { credentials }),
  };
  const dcs = etcdDcs(etcd);
  const guard = ownEtcd && guardEtcd(etcd);
  const users = settings.installation.etcdUserPerCluster === true ? etcdUsers(etcd) : undefined;
  const events = createEventRecorder({
    ...surroundings,
    client,
    reportingController: 'mainstay.dev/operator',
    reportingInstance: settings.podName,
  });

  let synced = false;
  const election = createLeaderElection({
    ...surroundings,
    client,
    namespace: settings.podNamespace,
    name: leaseName,
    identity: `${settings.podName}_${randomUUID()}`,
    metrics,
    onElected: (signal) => {
      log.info('elected');
      // Whoever was stopped for a while goes on where he was, and others lead by then.
      const leading = fenced(client, () => election.isLeader());
      if (ownEtcd && guard)
        void keepOwnEtcd(
          { client: leading, of: ownEtcd.of, guard, password: ownEtcd.password, clock, log },
          signal,
        ).catch(crash);
      return runControllers(
        {
          client: leading,
          dcs,
          etcdUsers: users,
          events,
          installation,
          explain: (entries, at) => explain(parseView(entries, at)),
          watchNamespace: settings.watchNamespace,
          watchNodes: settings.nodes,
          ...(settings.fencing && { fencing: { namespace: settings.podNamespace } }),
          metrics: { ...metrics, ...operatorMetrics(registry, () => surroundings.clock.wall().getTime()) },
          surroundings,
          onSynced: () => {
            synced = true;
          },
        },
        signal,
      );
    },
    onLost: () => {
      log.fatal('leadership lost; exiting');
      process.exit(1);
    },
  });

  const server = await startHttpServer(settings.httpPort, {
    registry,
    unready: () => {
      if (!election.isLeader()) return election.leader() === undefined ? 'no leader is known yet' : undefined;
      return synced ? undefined : 'leading, but etcd or the API server has not been read yet';
    },
  });
  log.info({ port: settings.httpPort, etcd: settings.installation.etcdEndpoints }, 'operator started');

  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => {
      log.info({ signal: name }, 'stopping');
      surroundings.clock.after(stopWithinMs, () => process.exit(1));
      stop.abort(new Error(`the operator got ${name}`));
    });
  await election.run(stop.signal);

  await events.flush();
  server.close();
  await dcs.close();
  await users?.close();
  await guard?.close();
  await client.close();
  log.info('stopped');
  process.exit(0);
}
