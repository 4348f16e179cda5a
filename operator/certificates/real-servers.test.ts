/** Certificates in the hands of real servers and clients. */
import { expect } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { authoritiesOf, filesBy, mount, newAuthority, takeOver } from '../../hack/container/certificates.ts';
import { postgresGroup, type PostgresGroup } from '../../hack/container/postgres.ts';
import { realServers } from '../../hack/container/real-servers.ts';
import type { TlsRules } from '../api/cluster-state.ts';
import { tlsFingerprint, type TlsFiles } from '../api/tls-files.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

const rules = (change: Partial<TlsRules> = {}): { readonly tls: TlsRules } => ({
  tls: { required: false, minVersion: 'TLSv1.2', certificatesOnly: true, ...change },
});

const sql = (group: PostgresGroup, name: string, text: string): string => {
  const { ok, output } = group.server(name).psql(text, 30_000);
  if (!ok) throw new Error(`${name}: ${output}`);
  return output;
};

/** A client in the network of `name`, with the tools of the image. */
async function inside(group: PostgresGroup, name: string, command: readonly string[], env = {}): Promise<string> {
  const first = group
    .server(name)
    .container.processes()
    .find(({ innerPid }) => innerPid === 1);
  const where = [
    '--target',
    String(first?.pid),
    '--mount',
    '--net',
    '--root',
    '--wd=/',
    '--setuid',
    '999',
    '--setgid',
    '999',
  ];
  return promisify(execFile)('nsenter', [...where, '--', ...command], {
    timeout: 20_000,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
  }).then(
    ({ stdout }) => stdout.trim(),
    (error: unknown) => (error as { stderr: string }).stderr.trim(),
  );
}

const connect = (group: PostgresGroup, to: string, more: string, question = 'SELECT 1'): Promise<string> =>
  inside(group, to, ['psql', '-XAtqw', '-c', question, `host=${group.address(to)} connect_timeout=5 ${more}`]);

/** Serial number of the certificate that the server shows. */
async function shown(group: PostgresGroup, name: string, ...options: readonly string[]): Promise<string> {
  const first = group
    .server(name)
    .container.processes()
    .find(({ innerPid }) => innerPid === 1);
  const { stdout } = await promisify(execFile)(
    'bash',
    [
      '-c',
      'nsenter --target "$1" --net openssl s_client -starttls postgres -connect "$2:5432" "${@:3}" </dev/null 2>&1 | cat',
      ...['bash', String(first?.pid), group.address(name), ...options],
    ],
    { timeout: 20_000 },
  );
  const [pem] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(stdout) ?? [];
  return pem === undefined ? 'none' : new X509Certificate(pem).serialNumber;
}

const serialOf = ({ serverCertificate }: TlsFiles): string => new X509Certificate(serverCertificate).serialNumber;
const replication = (group: PostgresGroup): string =>
  sql(
    group,
    group.primary(),
    'SELECT ssl, client_dn, pid FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) ORDER BY client_addr',
  );
const receiver = (group: PostgresGroup, name: string): string =>
  sql(group, name, 'SELECT pid FROM pg_stat_wal_receiver');

onRealServers(
  title('replicas follow, clone and rewind by certificate, and by nothing else'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2'], {}));
    const files = await filesBy(await newAuthority());
    for (const name of ['t-1', 't-2']) await mount(group, name, files);
    group.define(rules());
    await group.found('t-1');
    await group.add('t-2');
    expect(replication(group)).toMatch(/^t\|\/O=test\/CN=mainstay-agent-t\|\d+$/);
    expect(await shown(group, 't-1')).toBe(serialOf(files));

    await group.run('t-2', { type: 'rewind', epoch: 1, primary: group.member('t-1') });
    await group.run('t-2', { type: 'start', from: { epoch: 1, primary: group.member('t-1') } });
    await group.streaming('t-2');

    const noCertificate = /connection requires a valid client certificate/;
    const password = (role: string): string => `user=${role} password=${role.replace('mainstay_', '')}`;
    for (const role of ['mainstay_replication', 'mainstay_rewind']) {
      const database = role === 'mainstay_replication' ? 'replication=true dbname=postgres' : 'dbname=postgres';
      expect(await connect(group, 't-1', `${password(role)} ${database} sslmode=require`)).toMatch(noCertificate);
      expect(await connect(group, 't-1', `${password(role)} ${database} sslmode=disable`)).toMatch(
        /pg_hba.conf (rejects|entry)/,
      );
    }
    // The agents' certificate opens their two roles and no other.
    const shows = ['client.crt', 'client.key'].map(
      (file, n) => `${n === 0 ? 'sslcert' : 'sslkey'}=/run/mainstay/tls/newest/${file}`,
    );
    expect(await connect(group, 't-1', `user=mainstay_rewind dbname=postgres ${shows.join(' ')}`)).toBe('1');
    expect(await connect(group, 't-1', `user=postgres dbname=postgres ${shows.join(' ')}`)).toMatch(
      /pg_hba.conf rejects/,
    );
    expect(await connect(group, 't-1', `user=app dbname=app ${shows.join(' ')}`)).toMatch(/no password supplied/);

    // One of another authority is nobody's.
    const stranger = await filesBy(await newAuthority());
    await mount(group, 't-2', { ...stranger, serverAuthorities: files.serverAuthorities });
    await group.configure('t-2');
    const asStranger = `host=${group.address('t-1')} user=mainstay_rewind dbname=postgres ${shows.join(' ')}`;
    expect(await inside(group, 't-2', ['psql', '-XAtqwc', 'SELECT 1', asStranger])).toMatch(/alert unknown ca/);
    await takeOver(group, 't-2', files);
    await group.streaming('t-2');
  },
  240_000,
);

onRealServers(
  title('a new authority and new certificates while a replica streams: no stream and no session breaks'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2'], {}));
    const names = ['t-1', 't-2'];
    const [old, next] = [await newAuthority(), await newAuthority()];
    const first = await filesBy(old);
    for (const name of names) await mount(group, name, first);
    group.define(rules());
    await group.found('t-1');
    await group.add('t-2');
    sql(group, 't-1', "CREATE TABLE t (n int); ALTER ROLE app PASSWORD 'app'");
    const before = [replication(group), receiver(group, 't-2')];
    const session = inside(
      group,
      't-1',
      [
        'psql',
        '-XAtqw',
        '-c',
        'SELECT pg_sleep(4)',
        '-c',
        'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      ].concat(`host=${group.address('t-1')} user=app password=app dbname=app sslmode=require`),
    );
    // First trusted, then used, then the only one.
    const both = { ...first, ...authoritiesOf([old, next]) };
    const second = await filesBy(next, [next, old]);
    const last = { ...second, ...authoritiesOf([next]) };
    for (const files of [both, second, last])
      for (const name of names) {
        await takeOver(group, name, files);
        sql(group, 't-1', 'INSERT INTO t VALUES (1)');
        expect(await shown(group, name)).toBe(serialOf(files));
      }
    expect([replication(group), receiver(group, 't-2')]).toEqual(before);
    expect(await session).toBe('t');
    sql(group, 't-1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
    await group.streaming('t-2');
    await group.until('every row', () => sql(group, 't-2', 'SELECT count(*) FROM t') === '6');
  },
  240_000,
);

onRealServers(
  title('servers without TLS get it by a reload, and go over from passwords to certificates without a break'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2'], {}));
    await group.found('t-1');
    await group.add('t-2');
    expect(replication(group)).toMatch(/^f\|\|\d+$/);
    const before = receiver(group, 't-2');
    const files = await filesBy(await newAuthority());
    const reconnect = async (): Promise<void> => {
      sql(group, 't-1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
      await group.streaming('t-2');
    };
    await takeOver(group, 't-1', files);
    expect(receiver(group, 't-2')).toBe(before);
    await reconnect(); // it has none yet: TLS, with its password
    expect(replication(group)).toMatch(/^t\|\|\d+$/);
    await takeOver(group, 't-2', files);
    group.define(rules());
    await group.configure('t-1'); // the primary is told first …
    await reconnect();
    expect(replication(group)).toMatch(/^t\|\/O=test\/CN=mainstay-agent-t\|\d+$/);
    await group.configure('t-2');
    await group.run('t-1', { type: 'kill', reason: 'test' }); // … and they change places
    await group.elect('t-2', []);
    await group.run('t-1', { type: 'rewind', epoch: 2, primary: group.member('t-2') });
    await group.run('t-1', { type: 'start', from: { epoch: 2, primary: group.member('t-2') } });
    await group.streaming('t-1');
    expect(replication(group)).toMatch(/^t\|\/O=test\/CN=mainstay-agent-t\|\d+$/);
  },
  240_000,
);

onRealServers(
  title('what clients may use, and what can’t be used changes nothing'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1'], {}));
    const files = await filesBy(await newAuthority());
    await mount(group, 't-1', files);
    await group.found('t-1');
    sql(group, 't-1', "ALTER ROLE app PASSWORD 'app'");
    const app = 'user=app password=app dbname=app';
    const how = 'SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    const change = async (to: Partial<TlsRules>): Promise<void> => {
      group.define(rules(to));
      await group.configure('t-1');
      // A session of the agent has read it; clients are let in by the same postmaster.
      await group.until('the reload', async () => (await connect(group, 't-1', `${app} sslmode=require`)) === '1');
    };
    await change({});
    expect(await connect(group, 't-1', app, how)).toBe('TLSv1.3');
    expect(await connect(group, 't-1', `${app} sslmode=disable`)).toBe('1');
    expect(await connect(group, 't-1', `${app} ssl_max_protocol_version=TLSv1.2`, how)).toBe('TLSv1.2');

    await change({ minVersion: 'TLSv1.3', required: true });
    await group.until('plain text to be refused', async () =>
      /pg_hba.conf rejects connection .* no encryption/.test(await connect(group, 't-1', `${app} sslmode=disable`)),
    );
    expect(await connect(group, 't-1', `${app} sslmode=require ssl_max_protocol_version=TLSv1.2`)).toMatch(
      /protocol version/,
    );
    expect(await connect(group, 't-1', app, how)).toBe('TLSv1.3');
    expect(sql(group, 't-1', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toBe('f'); // the socket

    await change({ ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' });
    expect(
      await connect(
        group,
        't-1',
        `${app} sslmode=require ssl_max_protocol_version=TLSv1.2`,
        'SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      ),
    ).toBe('ECDHE-ECDSA-AES256-GCM-SHA384');
    await change({ ciphers: 'NO-SUCH-CIPHER' });
    expect(await connect(group, 't-1', app, how)).toBe('TLSv1.3');

    const { serverKey } = await filesBy(await newAuthority());
    for (const bad of [{ ...files, serverKey }, { ...files, serverCertificate: 'x' }, { serverKey }]) {
      await mount(group, 't-1', bad);
      await group.configure('t-1');
      expect(await shown(group, 't-1')).toBe(serialOf(files));
      expect((await group.server('t-1').observe()).member).toMatchObject({
        certificates: tlsFingerprint(files),
        message: expect.stringContaining('Certificates can’t be used, the former ones stay') as unknown,
      });
    }
    await takeOver(group, 't-1', files);
    expect((await group.server('t-1').observe()).member.message).toBeUndefined();
  },
  240_000,
);
