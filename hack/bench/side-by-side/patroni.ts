/** Patroni as Debian packages it, under a supervisor that restarts it as its unit has it (Restart=on-failure). */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { request } from 'undici';
import { z } from 'zod';
import { notYet, seconds, until, yes } from '../../testbed/until.ts';
import { machine } from '../results.ts';
import { application } from './client.ts';
import { passwords, patroniConfig, patroniPlaces, type PatroniSettings } from './patroni-config.ts';
import { etcdUrls, isWhole, nodeAddresses, unsupervised, type System } from './site.ts';

export interface PatroniOptions {
  readonly base: number;
  readonly settings: PatroniSettings;
  /** Of the database, the same that Mainstay's runs with. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
}

const restPort = 8008;
const callMs = 2_000;
const switchoverMs = seconds(60);
const foundMs = seconds(180);

/**
 * PID 1 of its container. Patroni doesn't keep the database as its child, so that it outlives Patroni; the unit's environment and
 * systemd's delay.
 */
const supervisor = `mkdir -p -m 700 ${patroniPlaces.socket}
export MALLOC_ARENA_MAX=1 PG_MALLOC_ARENA_MAX=
while :; do
  /usr/bin/patroni ${patroniPlaces.configuration} & agent=$!
  while kill -0 "$agent" 2>/dev/null; do wait "$agent"; done
  while [ -e /var/lib/mainstay/${unsupervised} ]; do sleep 0.1; done
  sleep 0.1
done`;

/** What an agent says of its database, having asked it. */
const Status = z.object({
  role: z.string(),
  state: z.string(),
  timeline: z.number().optional(),
  /** On the primary. */
  replication: z
    .array(z.object({ application_name: z.string(), state: z.string(), sync_state: z.string() }))
    .default([]),
});

const Cluster = z.object({ members: z.array(z.object({ name: z.string(), role: z.string() })) });

export function patroni({ base, settings, parameters, versions }: PatroniOptions): System {
  const nodes = nodeAddresses(base);
  const endpoints = etcdUrls(base);
  const addressOf = (name: string): string => nodes.find((node) => node.name === name)?.address ?? '';
  const ask = async <T>(schema: z.ZodType<T>, name: string, what: string): Promise<T> => {
    const answer = await request(`http://${addressOf(name)}:${restPort}${what}`, {
      signal: AbortSignal.timeout(callMs),
    });
    return schema.parse(JSON.parse(await answer.body.text()));
  };
  const leaderKey = async (): Promise<string | undefined> => {
    const asked = endpoints.map(async (url) => {
      const key = Buffer.from('/service/orders/leader').toString('base64');
      const answer = await request(`${url}/v3/kv/range`, {
        method: 'POST',
        body: JSON.stringify({ key }),
        signal: AbortSignal.timeout(callMs),
      });
      if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode}`);
      const { kvs = [] } = JSON.parse(await answer.body.text()) as { kvs?: readonly { value: string }[] };
      return kvs[0] && Buffer.from(kvs[0].value, 'base64').toString();
    });
    return Promise.any(asked);
  };

  return {
    name: 'Patroni',
    settings: settings.name,
    versions,
    machine: machine(),
    prepare: async (node, folder) => {
      const hosts = endpoints.map((url) => url.replace('http://', ''));
      await writeFile(
        path.join(folder, 'volume', path.basename(patroniPlaces.configuration)),
        patroniConfig(node, settings, hosts, parameters),
      );
      return { mounts: {}, argv: ['bash', '-c', supervisor] };
    },
    found: async (signal) => {
      const leader = await until(
        'Patroni’s first primary',
        async () => {
          const name = await leaderKey();
          if (name === undefined) return notYet('nobody leads');
          const { role, state } = await ask(Status, name, '/patroni');
          return role === 'primary' && state === 'running' ? yes(name) : notYet(`${name} is ${role}, ${state}`);
        },
        { within: foundMs, signal },
      );
      const { user, password, database } = application;
      const client = new pg.Client({
        host: addressOf(leader),
        user: 'postgres',
        password: passwords.superuser,
        database: 'postgres',
      });
      await client.connect();
      try {
        await client.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
        await client.query(`CREATE DATABASE ${database} OWNER ${user}`);
      } finally {
        await client.end();
      }
    },
    // Not its supervisor, whose command line holds the name as well.
    isAgent: ({ command }) => /^\S*python\S* \/usr\/bin\/patroni /.test(command),
    primary: leaderKey,
    whole: async () => {
      const leader = await leaderKey();
      if (leader === undefined) return isWhole(['nobody leads']);
      const others = nodes.map(({ name }) => name).filter((name) => name !== leader);
      const [{ members }, own, ...replicas] = await Promise.all([
        ask(Cluster, leader, '/cluster'),
        ask(Status, leader, '/patroni'),
        ...others.map((name) => ask(Status, name, '/patroni')),
      ]);
      const streams = own.replication.filter(
        (one) => one.state === 'streaming' && others.includes(one.application_name),
      );
      const behind = replicas.filter(({ state, timeline }) => state !== 'running' || timeline !== own.timeline);
      return isWhole([
        ...(own.role === 'primary' && own.state === 'running' ? [] : [`the leader is ${own.role}, ${own.state}`]),
        ...(streams.length === others.length ? [] : [`${streams.length} replicas stream`]),
        ...(behind.length === 0 ? [] : [`${behind.length} replicas do not run on its timeline`]),
        ...(streams.some(({ sync_state }) => sync_state === 'sync') ? [] : ['no replica is synchronous']),
        ...(members.some(({ role }) => role === 'sync_standby') ? [] : ['etcd knows no synchronous replica']),
      ]);
    },
    switchover: async (from) => {
      // Answers when it is done; that the writer sees, too.
      const answer = await request(`http://${addressOf(from)}:${restPort}/switchover`, {
        method: 'POST',
        body: JSON.stringify({ leader: from }),
        headersTimeout: switchoverMs,
        bodyTimeout: switchoverMs,
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw new Error(`switchover: ${answer.statusCode} ${text}`);
    },
    close: () => Promise.resolve(),
  };
}

/** From the root that both run on. */
export async function packageVersions(root: string): Promise<Readonly<Record<string, string>>> {
  const status = await readFile(path.join(root, 'var/lib/dpkg/status'), 'utf8');
  const version = (name: string): string =>
    new RegExp(`^Package: ${name}\\n(?:.+\\n)*?Version: (.*)$`, 'm').exec(status)?.[1] ?? '';
  return { postgresql: version('postgresql-18'), patroni: version('patroni'), python: version('python3') };
}
