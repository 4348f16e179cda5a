/** The agent of a replication group's member inside a test's container: as its Pod runs it, but for where its secrets are. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { pino } from 'pino';
import { startGroupAgent } from '../../operator/agent/group-agent.ts';
import { agentMetrics } from '../../operator/agent/metrics.ts';
import { openVolume, untilUnlocked } from '../../operator/agent/volume.ts';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { mysqlEngine } from '../../operator/engines/mysql/engine.ts';
import { layout as layoutOf } from '../../operator/engines/mysql/layout.ts';
import { systemClock as clock } from '../../operator/platform/clock.ts';

export interface MemberOptions {
  readonly instance: string;
  readonly address: string;
  readonly etcd: string;
  readonly uid: string;
}

const { instance, address, etcd, uid } = JSON.parse(process.argv[2] ?? '{}') as MemberOptions;
const secrets = '/tmp/secrets';
const volume = '/var/lib/mainstay';
await mkdir(`${secrets}/system`, { recursive: true });
for (const name of ['replication', 'clone']) await writeFile(`${secrets}/system/${name}-password`, name);
await symlink(`${volume}/tls`, `${secrets}/tls`);

const log = pino({ level: 'info' }, pino.destination({ fd: 2, sync: true })).child({ instance });
const layout = layoutOf(volume, { run: '/run/mainstay', secrets });
await untilUnlocked(layout.lock, clock, log, AbortSignal.timeout(60_000));
const agent = await startGroupAgent({
  settings: {
    engine: 'mysql',
    namespace: 'test',
    cluster: 'g',
    ...{ uid, instance, volume },
    node: '',
    podIp: address,
    etcdEndpoints: [etcd],
    etcdCredentials: undefined,
    serviceRw: '',
    walVolume: undefined,
    topology: 'Group',
    tls: `${secrets}/tls`,
    agentPort: 8008,
    deadmanLimit: 3000,
  },
  dcs: etcdDcs({ endpoints: [etcd], clock }),
  engine: mysqlEngine({ instance, layout, clock, log }),
  volume: await openVolume(volume),
  kubernetes: undefined,
  clock,
  log,
  metrics: agentMetrics('mysql'),
});
process.once('SIGTERM', () => void agent.end().then(() => process.exit(0)));
