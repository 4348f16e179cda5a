/**
 * A cluster without Kubernetes: real agents with their databases, an etcd and a client that writes, on a network of their own.
 * Each agent is the program that the test chooses, started as its Pod starts it; the test plays the operator.
 */
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { clusterPrefix, keys } from '../../operator/api/cluster-state.ts';
import type { ClusterKind } from '../../operator/api/database-cluster.ts';
import { tlsFileNames } from '../../operator/api/tls-files.ts';
import type { ClusterRuntime } from '../../operator/controllers/cluster-runtime.ts';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { profileOf } from '../../operator/engines/profiles.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import { renewMount } from '../../operator/platform/renewed-mount.ts';
import { passwordPlaces, declarationFor } from '../../operator/resources/declaration.ts';
import { definitionFor, definitionText } from '../../operator/resources/definition.ts';
import { agentPort, instanceNames } from '../../operator/resources/names.ts';
import { sampleCluster } from '../../operator/resources/sample-cluster.ts';
import { applicationContent, systemPasswordKey } from '../../operator/resources/secrets.ts';
import { run } from '../images/command.ts';
import { clusterState } from '../testbed/cluster-state.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';
import { askingAt, writerClient, type FinalReport, type WriterClient } from '../testbed/writer-client.ts';
import { filesBy, newAuthority } from './certificates.ts';
import { startContainer, type Container } from './container.ts';
import { testNetwork } from './network.ts';

export interface AgentProgram {
  readonly version: string;
  /** What the init container shares with the database's: node, agent.mjs and init. */
  readonly folder: string;
}

export interface AgentCluster {
  readonly instances: readonly string[];
  /** Installs a bundle as the init container does. */
  readonly install: (version: string, bundle: string) => Promise<AgentProgram>;
  /** A new Pod of the instance; its volume stays. */
  readonly start: (instance: string, program: AgentProgram) => Promise<void>;
  /** As when the Pod is deleted: the agent hands over first. */
  readonly end: (instance: string) => Promise<void>;
  /** As when its node loses power. */
  readonly kill: (instance: string) => Promise<void>;
  readonly runtime: () => Promise<ClusterRuntime>;
  /** Who leads and is open to clients. */
  readonly primary: () => Promise<string>;
  readonly primaryOtherThan: (instance: string) => Promise<string>;
  /** Every instance that runs, but for the primary, streams and is in the sync set. */
  readonly allCount: () => Promise<void>;
  /** As the operator asks for it, and again if another was faster: the candidate is preferred, no more (docs/adr/0002). */
  readonly handOverTo: (instance: string) => Promise<void>;
  readonly startWriter: () => Promise<WriterClient>;
  /** Ends the client and looks up what it was promised. */
  readonly finish: (writer: Pick<WriterClient, 'stop'>) => Promise<FinalReport>;
  /** What Prometheus gets from its agent. */
  readonly metrics: (instance: string) => Promise<string>;
  readonly remove: () => Promise<void>;
}

const databaseUser = 999;
const etcdAddress = '10.9.0.2';
const writerAddress = '10.9.0.3';
const writerPort = 9090;
const writerTable = 'writes';
const mostHandOvers = 5;
/** Whatever is expected takes a few seconds, but first data and two clones on a machine that many use. */
const patience = seconds(300);

export async function agentCluster(options: {
  readonly kind: ClusterKind;
  readonly root: string;
  readonly etcd: string;
}): Promise<AgentCluster> {
  const { kind, root } = options;
  const cluster = sampleCluster({ instances: 3 }, {}, {}, kind);
  const identity = cluster.metadata;
  const profile = profileOf(cluster);
  const instances = instanceNames(cluster.metadata.name, 3);
  const addressOf = (instance: string): string => `10.9.0.${10 + instances.indexOf(instance)}`;
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-agents-'));
  const inFolder = async (name: string, owner?: number): Promise<string> => {
    const made = path.join(folder, name);
    await mkdir(made, { mode: 0o755 });
    if (owner !== undefined) await chown(made, owner, owner);
    return made;
  };

  const [system, tls, access] = [await inFolder('system'), await inFolder('tls'), await inFolder('access')];
  const passwords = new Map(passwordPlaces(cluster).map(({ role }) => [role, `password-of-${role}`]));
  for (const [what, role] of Object.entries(profile.systemRoles))
    await writeFile(path.join(system, systemPasswordKey(what)), passwords.get(role) ?? '');
  const files = await filesBy(await newAuthority());
  await renewMount(
    tls,
    Object.fromEntries(Object.entries(files).map(([key, text]) => [tlsFileNames[key as keyof typeof files], text])),
  );
  // Where they are mounted, images have nothing.
  for (const place of ['system', 'tls']) await mkdir(path.join(root, 'etc/mainstay', place), { recursive: true });

  let pods = 0;
  const network = await testNetwork();
  const containers = new Map<string, Container>();
  const begin = async (address: string, container: Container): Promise<void> => {
    const formerlyThere = containers.get(address);
    await formerlyThere?.kill();
    containers.set(address, container);
    let log = '';
    for (const stream of [container.child.stdout, container.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-4_000);
        if (process.env['MAINSTAY_TEST_LOG']) process.stderr.write(text);
      });
    await until(
      `${address} on the network`,
      // Its namespace comes a moment later, and the kernel removes the cable of the one before when it likes.
      () => {
        if (container.child.exitCode !== null) throw new Error(`it has ended: ${log}`);
        const first = container.processes().find(({ innerPid }) => innerPid === 1);
        if (!first) return Promise.resolve(notYet('no process'));
        network.plug(first.pid, address);
        return Promise.resolve(yes(undefined));
      },
      { within: seconds(30), everyMs: 20 },
    );
  };
  const kill = async (address: string): Promise<void> => {
    await containers.get(address)?.kill();
    containers.delete(address);
  };

  const url = `http://${etcdAddress}:2379`;
  const flags = { 'data-dir': await inFolder('etcd'), 'listen-client-urls': url, 'advertise-client-urls': url };
  await begin(
    etcdAddress,
    startContainer({
      ownNetwork: true,
      argv: [options.etcd, ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`), '--unsafe-no-fsync'],
    }),
  );
  const here = `http://127.0.0.1:${await network.forward(etcdAddress, 2379)}`;
  const unlimited = new AbortController().signal;
  const etcd = { endpoints: [here], clock: systemClock };
  const dcs = etcdDcs(etcd);
  const members = [{ pod: '', podUid: '', node: '', ip: etcdAddress, url: here, metricsUrl: '' }];
  const state = clusterState(() => ({ members }), unlimited);
  const publish = async (key: string, value: string): Promise<void> => {
    const write = { put: clusterPrefix(identity) + key, value };
    const { outcome } = await dcs.txn([], [write], { milliseconds: seconds(2), signal: unlimited });
    if (outcome !== 'applied') throw new Error(`${key} could not be written: ${outcome}`);
  };
  await until(
    'etcd',
    async () => {
      await publish(keys.definition, definitionText(definitionFor(cluster, { certificatesOnly: true })));
      return yes(undefined);
    },
    { within: seconds(30) },
  );
  const verifiers = new Map<string, { verifier: string; revision: string }>();
  for (const [role, password] of passwords)
    verifiers.set(role, { verifier: await profile.verifier(password, role), revision: '1' });
  await publish(keys.declaration, JSON.stringify(declarationFor(cluster, verifiers)));

  const runtime = (): Promise<ClusterRuntime> => state.read(identity);
  const currentPrimary = async (): Promise<string | undefined> => {
    const { leader, members: known } = await runtime();
    return leader && known.get(leader.instance)?.state === 'running' ? leader.instance : undefined;
  };
  const awaitPrimary = (what: string, isWanted: (instance: string) => boolean): Promise<string> =>
    until(
      what,
      async () => {
        const found = await currentPrimary();
        return found !== undefined && isWanted(found) ? yes(found) : notYet(found ?? 'nobody leads');
      },
      { within: patience },
    );

  const allCount = (): Promise<void> =>
    until(
      'every replica in the sync set',
      async () => {
        const { leader, sync, members: known } = await runtime();
        if (!leader || !sync) return notYet('nobody leads');
        const missing = instances.filter(
          (one) =>
            one !== leader.instance &&
            containers.has(addressOf(one)) &&
            (known.get(one)?.state !== 'streaming' || !sync.members.some(({ instance }) => instance === one)),
        );
        const told = missing.map((one) => `${one} ${known.get(one)?.state ?? 'unheard of'}`);
        return missing.length === 0 ? yes(undefined) : notYet(`not counted: ${told.join(', ')}`);
      },
      { within: patience },
    );

  return {
    instances,
    install: async (version, bundle) => {
      const into = await inFolder(version);
      await run(process.execPath, [bundle, 'install', into], { signal: unlimited });
      return { version, folder: into };
    },
    start: async (instance, program) => {
      const volume = path.join(folder, instance);
      pods += 1;
      const sockets = await inFolder(`pod-${pods}`, databaseUser);
      await mkdir(volume, { recursive: true });
      await chown(volume, databaseUser, databaseUser);
      const settings = {
        ENGINE: profile.engine,
        NAMESPACE: identity.namespace,
        CLUSTER: identity.name,
        CLUSTER_UID: identity.uid,
        INSTANCE: instance,
        POD_IP: addressOf(instance),
        ETCD_ENDPOINTS: url,
      };
      await begin(
        addressOf(instance),
        startContainer({
          root,
          user: databaseUser,
          ownNetwork: true,
          mounts: {
            [volume]: '/var/lib/mainstay',
            [sockets]: '/run/mainstay',
            [program.folder]: '/mnt/mainstay',
            [system]: '/etc/mainstay/system',
            [tls]: '/etc/mainstay/tls',
          },
          argv: [
            ...['env', ...Object.entries(settings).map(([name, value]) => `MAINSTAY_${name}=${value}`)],
            ...['bash', '/mnt/mainstay/init', '/mnt/mainstay/node', '/mnt/mainstay/agent.mjs', 'run'],
          ],
        }),
      );
    },
    end: async (instance) => {
      const container = containers.get(addressOf(instance));
      const first = container?.processes().find(({ innerPid }) => innerPid === 1);
      if (!container || !first) throw new Error(`${instance} does not run`);
      const ended = once(container.child, 'exit');
      process.kill(first.pid, 'SIGTERM');
      await ended;
      containers.delete(addressOf(instance));
    },
    kill: (instance) => kill(addressOf(instance)),
    runtime,
    primary: () => awaitPrimary('a primary', () => true),
    primaryOtherThan: (instance) => awaitPrimary(`a primary other than ${instance}`, (found) => found !== instance),
    allCount,
    handOverTo: async (to) => {
      for (let attempt = 1; ; attempt += 1) {
        const from = await awaitPrimary('a primary', () => true);
        if (from === to) return;
        if (attempt > mostHandOvers) throw new Error(`${to} has not become primary in ${mostHandOvers} hand-overs`);
        await state.requestSwitchover(identity, from, to);
        await awaitPrimary(`a primary after ${from}`, (found) => found !== from);
        await allCount();
      }
    },
    startWriter: async () => {
      const owner = cluster.spec.application.owner;
      const content = applicationContent(cluster, passwords.get(owner) ?? '');
      for (const [key, value] of Object.entries({ ...content, host: addressOf(await awaitPrimary('', () => true)) }))
        await writeFile(path.join(access, key), value);
      const settings = {
        ACCESS: access,
        HOSTS: instances.map(addressOf).join(','),
        PORT: String(writerPort),
        TABLE: writerTable,
        LANES: '3',
      };
      await begin(
        writerAddress,
        startContainer({
          ownNetwork: true,
          argv: [
            ...['env', ...Object.entries(settings).map(([name, value]) => `WRITER_${name}=${value}`)],
            ...[process.execPath, '--no-warnings', path.join(import.meta.dirname, '../writer/main.ts')],
          ],
        }),
      );
      const ask = askingAt(`http://127.0.0.1:${await network.forward(writerAddress, writerPort)}`);
      const writer = writerClient(ask, writerTable);
      await until('the client', async () => yes(await writer.state()), { within: seconds(30) });
      return writer;
    },
    finish: async (writer) => {
      // It reads back where its Secret leads; no Service does here.
      await writeFile(path.join(access, 'host'), addressOf(await awaitPrimary('a primary', () => true)));
      return writer.stop();
    },
    metrics: async (instance) => {
      const port = await network.forward(addressOf(instance), agentPort);
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(seconds(10)) });
      return answer.text();
    },
    remove: async () => {
      await state.close();
      await dcs.close();
      for (const address of [...containers.keys()]) await kill(address);
      await network.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
