/** TLS of real servers: who gets in by it, and that a renewal breaks nothing. */
import { expect } from '@jest/globals';
import { authoritiesOf, filesBy, mount, newAuthority, takeOver } from '../../../hack/container/certificates.ts';
import { mysqlGroup, type MysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import type { TlsRules } from '../../api/cluster-state.ts';
import { tlsFingerprint } from '../../api/tls-files.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers('mysql');

const rules = (change: Partial<TlsRules> = {}): { readonly tls: TlsRules } => ({
  tls: { required: false, minVersion: 'TLSv1.2', certificatesOnly: true, ...change },
});

const sql = (group: MysqlGroup, name: string, text: string): string => {
  const { ok, output } = group.server(name).sql(text, 30_000);
  if (!ok) throw new Error(`${name}: ${output}`);
  return output;
};

/** A client beside `name`, over the network; what it printed, or why it could not. */
const connect = (
  group: MysqlGroup,
  name: string,
  to: string,
  user: string,
  password: string,
  options: readonly string[],
  question = "SHOW STATUS LIKE 'Ssl_version'",
): string =>
  group
    .server(name)
    .execute(
      'mysql',
      ['--no-defaults', '-h', group.address(to), '-u', user, `-p${password}`, '-NB', ...options, '-e', question],
      60_000,
    ).output;

const agentFiles = ['--ssl-cert=/run/mainstay/tls/newest/client.crt', '--ssl-key=/run/mainstay/tls/newest/client.key'];
const trusting = ['--ssl-mode=VERIFY_CA', '--ssl-ca=/run/mainstay/tls/newest/ca.crt'];

/** Threads that send the log, and what they send it over. */
const streams = (group: MysqlGroup): string =>
  sql(
    group,
    group.primary(),
    `SELECT t.processlist_user, t.processlist_id, t.connection_type FROM performance_schema.threads t
      WHERE t.processlist_command LIKE 'Binlog Dump%' ORDER BY 1`,
  );

onRealServers(
  title('replicas clone and follow with their certificate, and nobody gets in as one without'),
  async () => {
    const group = removedAfterwards(await mysqlGroup(root, ['m-1', 'm-2']));
    const authority = await newAuthority();
    const files = await filesBy(authority);
    for (const name of ['m-1', 'm-2']) await mount(group, name, files);
    await group.found('m-1');
    expect((await group.observe('m-1')).member.certificates).toBe(tlsFingerprint(files));
    group.define(rules());
    await group.until('certificates to be asked for', () =>
      /O=test.*CN=mainstay-agent-t/.test(
        sql(group, 'm-1', "SELECT x509_subject FROM mysql.user WHERE user = 'mainstay_clone'"),
      ),
    );
    await group.add('m-2');
    expect(streams(group)).toMatch(/^mainstay_async_2\t\d+\tSSL\/TLS$/);

    const as = (user: string, password: string, options: readonly string[]): string =>
      connect(group, 'm-2', 'm-1', user, password, options);
    for (const [user, password] of [
      ['mainstay_async_2', 'replication'],
      ['mainstay_sync_2', 'replication'],
      ['mainstay_clone', 'clone'],
    ] as const)
      expect(as(user, password, trusting)).toMatch(/Access denied/);
    expect(as('mainstay_clone', 'clone', [...trusting, ...agentFiles])).toMatch(/Ssl_version\tTLSv1.3/);
    expect(as('mainstay_clone', 'wrong', [...trusting, ...agentFiles])).toMatch(/Access denied/);

    // One of the cluster's authority, but of another cluster's agents.
    const other = await filesBy(authority, [authority], 'mainstay-agent-other');
    await mount(group, 'm-2', other);
    await group.configure('m-2');
    await group.until('it to be shut out', () =>
      /Access denied/.test(as('mainstay_clone', 'clone', [...trusting, ...agentFiles])),
    );
    // One of another authority is nobody's, and who is not of ours is not followed.
    const stranger = await filesBy(await newAuthority());
    await mount(group, 'm-2', stranger);
    await group.configure('m-2');
    expect(as('mainstay_clone', 'clone', ['--ssl-mode=REQUIRED', ...agentFiles])).toMatch(
      /unknown ca|SSL connection error|Lost connection/,
    );
    sql(group, 'm-1', `KILL ${streams(group).split('\t')[1] ?? ''}`);
    await group.until('it to refuse the primary', () =>
      /certificate verify failed/.test(
        sql(group, 'm-2', 'SELECT last_error_message FROM performance_schema.replication_connection_status'),
      ),
    );
    await takeOver(group, 'm-2', files);
    await group.streaming('m-2');
  },
  600_000,
);

onRealServers(
  title('a new authority and new certificates while a replica streams: no stream and no session breaks'),
  async () => {
    const names = ['m-1', 'm-2'];
    const group = removedAfterwards(await mysqlGroup(root, names));
    await group.found('m-1');
    await group.add('m-2');
    sql(group, 'm-1', 'CREATE TABLE app.t (n int)');
    // Servers that had none get them while they run, …
    const [old, next] = [await newAuthority(), await newAuthority()];
    const first = await filesBy(old);
    for (const name of names) await takeOver(group, name, first);
    group.define(rules());
    await group.until('replicas to be known by certificates', () =>
      /mainstay-agent/.test(sql(group, 'm-1', "SELECT x509_subject FROM mysql.user WHERE user = 'mainstay_async_2'")),
    );
    await group.streaming('m-2');
    await group.until('its new stream', () => streams(group) !== '');
    const before = streams(group);
    const executed = (): string => sql(group, 'm-2', 'SELECT @@global.gtid_executed');
    // … and new ones: first trusted, then used, then the only ones.
    const both = { ...first, ...authoritiesOf([old, next]) };
    const second = await filesBy(next, [next, old]);
    const last = { ...second, ...authoritiesOf([next]) };
    for (const files of [both, second, last]) {
      for (const name of names) await takeOver(group, name, files);
      sql(group, 'm-1', 'INSERT INTO app.t VALUES (1)');
      expect(connect(group, 'm-2', 'm-1', 'mainstay_clone', 'clone', [...trusting, ...agentFiles])).toMatch(/TLSv1.3/);
    }
    expect(streams(group)).toBe(before);
    await group.until('every row', () => sql(group, 'm-2', 'SELECT count(*) FROM app.t') === '3');
    await group.until('the same log', () => executed() === sql(group, 'm-1', 'SELECT @@global.gtid_executed'));
    sql(group, 'm-1', `KILL ${before.split('\t')[1] ?? ''}`);
    await group.until('a new stream', () => !['', before].includes(streams(group)));
  },
  600_000,
);

onRealServers(
  title('what clients may use, and what can’t be used changes nothing'),
  async () => {
    const group = removedAfterwards(await mysqlGroup(root, ['m-1']));
    const files = await filesBy(await newAuthority());
    await mount(group, 'm-1', files);
    await group.found('m-1');
    sql(group, 'm-1', "CREATE USER u@'%' IDENTIFIED BY 'u'");
    const as = (...options: readonly string[]): string => connect(group, 'm-1', 'm-1', 'u', 'u', options);
    const change = async (to: Partial<TlsRules>): Promise<void> => {
      group.define(rules(to));
      await group.configure('m-1');
    };
    await change({});
    expect(as()).toMatch(/TLSv1.3/);
    expect(as('--ssl-mode=VERIFY_CA', '--ssl-ca=/run/mainstay/tls/newest/ca.crt')).toMatch(/TLSv1.3/);
    expect(as('--tls-version=TLSv1.2')).toMatch(/TLSv1.2/);
    expect(as('--ssl-mode=DISABLED', '--get-server-public-key')).not.toMatch(/TLSv|ERROR/);

    await change({ minVersion: 'TLSv1.3', required: true });
    expect(as('--ssl-mode=DISABLED')).toMatch(/insecure transport are prohibited/);
    expect(as('--tls-version=TLSv1.2')).toMatch(/SSL connection error/);
    expect(as()).toMatch(/TLSv1.3/);

    await change({ ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' });
    expect(connect(group, 'm-1', 'm-1', 'u', 'u', ['--tls-version=TLSv1.2'], "SHOW STATUS LIKE 'Ssl_cipher'")).toMatch(
      /ECDHE-ECDSA-AES256-GCM-SHA384/,
    );
    for (const ciphers of ['NO-SUCH-CIPHER', 'HIGH:!aNULL']) {
      await change({ ciphers });
      expect(as('--tls-version=TLSv1.2')).toMatch(/TLSv1.2/);
    }
    expect((await group.observe('m-1')).member).toMatchObject({
      certificates: tlsFingerprint(files),
    });

    const { serverKey } = await filesBy(await newAuthority());
    for (const bad of [{ ...files, serverKey }, { ...files, serverCertificate: 'x' }, { serverKey }]) {
      await mount(group, 'm-1', bad);
      await group.configure('m-1');
      expect(as('--ssl-mode=VERIFY_CA', '--ssl-ca=/run/mainstay/tls/newest/ca.crt')).toMatch(/TLSv1.3/);
      expect((await group.observe('m-1')).member).toMatchObject({
        certificates: tlsFingerprint(files),
        message: expect.stringContaining('Certificates can’t be used, the former ones stay') as unknown,
      });
    }
  },
  600_000,
);
