/** The process in each database Pod: `install DIR` in the init container, `run` beside the database, below the PID 1 that it installs. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { credentialsIn } from '../dcs/etcd-credentials.ts';
import { etcdDcs } from '../dcs/etcd.ts';
import { installedEngine } from '../engines/create-engine.ts';
import { inCluster } from '../kubernetes/access.ts';
import { kubernetesClient, type KubernetesClient } from '../kubernetes/client.ts';
import { systemClock } from '../platform/clock.ts';
import { createLogger, type Logger } from '../platform/log.ts';
import { profileWhenAsked, usualProfiling } from '../platform/profile.ts';
import { startAgent, type RunningAgent } from './agent.ts';
import { startGroupAgent } from './group-agent.ts';
import { install } from './install.ts';
import { agentMetrics } from './metrics.ts';
import { readSettings } from './settings.ts';
import { holdVolume, openVolume, untilUnlocked } from './volume.ts';

async function run(): Promise<void> {
  const settings = readSettings(process.env);
  const log = createLogger('agent').child({ namespace: settings.namespace, instance: settings.instance });
  // A crash of the agent is the death of its container, and the kernel's end of the database: safe, and visible.
  for (const event of ['unhandledRejection', 'uncaughtException'] as const)
    process.on(event, (error: unknown) => {
      log.fatal({ err: error }, 'unexpected error');
      process.exit(70);
    });

  let agent: Promise<RunningAgent> | undefined = undefined;
  let ending = false;
  // From the first moment on: PID 1 and its like don't die of a signal that they don't listen to.
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.on(name, () => {
      if (ending) return;
      ending = true;
      log.info({ signal: name }, 'ending');
      if (!agent) process.exit(0); // waiting for the volume: nothing has been begun
      void agent.then((running) => running.end()).then(() => process.exit(0));
    });

  const clock = systemClock;
  profileWhenAsked({ program: 'agent', ...usualProfiling }, clock, log);
  await mkdir(settings.volume, { recursive: true });
  const { instance, volume: folder, walVolume: logVolume } = settings;
  const engine = await installedEngine(settings.engine, { instance, volume: folder, logVolume });
  const patience = AbortSignal.timeout(600_000);
  await holdVolume(
    join(settings.volume, 'agent.lock'),
    clock,
    log,
    () => {
      log.fatal('lost the lock on the volume');
      process.exit(70);
    },
    patience,
  );
  await untilUnlocked(engine.lock, clock, log, patience);
  const [volume, kubernetes] = await Promise.all([openVolume(settings.volume), clientInCluster(log)]);
  const start = settings.topology === 'Group' ? startGroupAgent : startAgent;
  agent = start({
    settings,
    dcs: etcdDcs({
      endpoints: settings.etcdEndpoints,
      clock,
      ...(settings.etcdCredentials !== undefined && {
        credentials: credentialsIn(settings.etcdCredentials, (problem) =>
          log.error({ err: problem }, 'the renewed credentials of etcd can’t be used; going on with the former'),
        ),
      }),
    }),
    engine: engine.create(clock, log),
    volume,
    kubernetes,
    clock,
    log,
    metrics: agentMetrics(settings.engine),
  });
  await agent;
}

async function clientInCluster(log: Logger): Promise<KubernetesClient | undefined> {
  if (!process.env['KUBERNETES_SERVICE_HOST']) {
    log.warn('not in a Kubernetes cluster: no Service is kept');
    return undefined;
  }
  return kubernetesClient(await inCluster());
}

const [verb, directory] = process.argv.slice(2);
if (verb === 'install' && directory) await install(directory);
else if (verb === 'run') await run();
else {
  process.stderr.write('usage: agent.mjs install DIRECTORY | run\n');
  process.exitCode = 64;
}
