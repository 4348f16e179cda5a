/** The load of `throughput` for MySQL, and a hand-built pair of servers to compare with. */
import type { InstancePod } from '../testbed/database-cluster.ts';
import { notYet, until, yes } from '../testbed/until.ts';
import type { Arena } from './arena.ts';
import { names, readyMs, startPlainPods, type PlainPair } from './plain-pair.ts';
import type { Measurement } from './scenario.ts';
import { measureThroughput, type Load } from './throughput.ts';

const clients = 8;
const socket = '/run/mainstay/mysqld.sock';
const configuration = '/var/lib/mainstay/configuration/my.cnf';

/** mysqlslap counts statements, not seconds: portions are run until the time is over. */
const portion = 800;

const load: Load = {
  about: `mysqlslap, ${clients} clients, each transaction one row inserted and committed`,
  startPair: startPlainPair,
  prepare: (address) =>
    `mysql -h ${address} -u $user -p$password $database -e ` +
    `'CREATE TABLE IF NOT EXISTS load_rows (id bigint PRIMARY KEY AUTO_INCREMENT, account int, filling char(100))' 2>/dev/null`,
  run: (address, runSeconds) =>
    [
      'begin=$(date +%s%N) done=0',
      `while [ $(( ($(date +%s%N) - begin) / 1000000000 )) -lt ${runSeconds} ]; do`,
      `  mysqlslap -h ${address} -u $user -p$password --create-schema=$database --no-drop --concurrency=${clients}` +
        ` --number-of-queries=${portion} --query="INSERT INTO load_rows (account, filling) VALUES (RAND() * 100000, REPEAT('x', 100))" >/dev/null 2>&1`,
      `  done=$((done + ${portion}))`,
      'done',
      'echo "rate $(( done * 1000000000 / ($(date +%s%N) - begin) ))"',
    ].join('\n'),
  rateIn: (said) => Number(/^rate (\d+)$/m.exec(said)?.[1]),
};

export const mysqlThroughput: Measurement = {
  kind: 'measurement',
  name: 'throughput',
  title: 'mysqlslap with the agents and without',
  measure: (arena, options) => measureThroughput(arena, load, options),
};

/** The same option file, but for who may write, the gate, and the numbers of the servers. */
async function startPlainPair(arena: Arena, primary: InstancePod, replica: InstancePod): Promise<PlainPair> {
  const { access, orders, signal } = arena;
  const { addresses, inside, remove } = await startPlainPods(arena, primary, replica);
  const [address = ''] = addresses;
  const sql = (pod: string, statements: string): Promise<string> =>
    inside(pod, `mysql -S ${socket} -u root -N -B -e "${statements}"`);
  const password = Buffer.from(
    await access.kubectl(
      ['get', 'secret', `${orders.name}-app`, '-n', orders.namespace, '--output', 'jsonpath={.data.password}'],
      { signal },
    ),
    'base64',
  ).toString();

  const files = await access.kubectl(
    [
      ...['exec', '--namespace', orders.namespace, primary.name, '--container', 'mysql', '--', 'bash', '-ec'],
      'tar -C / -czf - var/lib/mainstay/configuration $(cd /; ls -d run/mainstay/tls 2>/dev/null) | base64',
    ],
    { signal },
  );
  for (const [index, name] of names.entries()) {
    await inside(name, 'base64 -d | tar -C / --no-overwrite-dir -xzf -', files);
    await inside(
      name,
      [
        'mkdir -p /run/mainstay/log',
        `mysqld --defaults-file=${configuration} --initialize-insecure > /run/mainstay/start.log 2>&1`,
        `setsid mysqld --defaults-file=${configuration} --server-id=${101 + index} --init-connect= --read-only=${index === 0 ? 'OFF' : 'ON'}` +
          ` --super-read-only=OFF < /dev/null >> /run/mainstay/start.log 2>&1 &`,
        `for try in $(seq 300); do mysql -S ${socket} -u root -e 'SELECT 1' >/dev/null 2>&1 && exit 0; sleep 0.2; done`,
        'cat /run/mainstay/start.log >&2; exit 1',
      ].join('\n'),
    );
    await sql(name, 'RESET BINARY LOGS AND GTIDS');
  }
  await sql(
    names[0],
    `CREATE USER repl@'%' IDENTIFIED BY 'plain'; GRANT REPLICATION SLAVE ON *.* TO repl@'%'; CREATE DATABASE app;
     CREATE USER app@'%' IDENTIFIED BY '${password}'; GRANT ALL ON app.* TO app@'%'`,
  );
  await sql(
    names[1],
    `SET GLOBAL rpl_semi_sync_replica_enabled = ON; CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${address}', SOURCE_USER = 'repl',
     SOURCE_PASSWORD = 'plain', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_HEARTBEAT_PERIOD = 1; START REPLICA`,
  );
  await sql(
    names[0],
    'SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1; SET GLOBAL rpl_semi_sync_source_enabled = ON',
  );
  await until(
    'the plain replica to acknowledge',
    async () => {
      const count = await sql(names[0], "SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'");
      return /\b1$/.test(count.trim()) ? yes(undefined) : notYet(count);
    },
    { within: readyMs, signal },
  );
  return { address, remove };
}
