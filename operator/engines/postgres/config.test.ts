import { describe, expect, test } from '@jest/globals';
import type { Definition, TlsRules } from '../../api/cluster-state.ts';
import { bootSettings, floorsFromControlData, pgHba, pgIdent, postgresqlConf, tlsConf } from './config.ts';
import { layout } from './layout.ts';

const definition = (parameters: Record<string, string>): Definition => ({
  generation: 1,
  engine: 'postgres',
  version: '18',
  instances: ['a'],
  durability: { mode: 'Strict', acknowledgements: 1 },
  parameters,
  application: { database: 'app', owner: 'app' },
  paused: false,
});
/** The value that PostgreSQL takes: the last line wins. */
const effective = (parameters: Record<string, string>, name: string): string | undefined =>
  postgresqlConf(definition(parameters), layout('/v', '18'))
    .split('\n')
    .findLast((line) => line.startsWith(`${name} = `));

test('a user’s value wins over our default, and ours over a user’s where it is locked', () => {
  expect(effective({ max_connections: '77' }, 'max_connections')).toBe("max_connections = '77'");
  expect(effective({ fsync: 'off' }, 'fsync')).toBe("fsync = 'on'");
  expect(effective({ restart_after_crash: 'on' }, 'restart_after_crash')).toBe("restart_after_crash = 'off'");
});

test('acknowledgement is never weaker than on the disks of the sync set', () => {
  expect(effective({ synchronous_commit: 'off' }, 'synchronous_commit')).toBe("synchronous_commit = 'on'");
  expect(effective({ synchronous_commit: 'remote_apply' }, 'synchronous_commit')).toBe(
    "synchronous_commit = 'remote_apply'",
  );
});

test('a value cannot break out of its quotes', () => {
  expect(effective({ search_path: "a', b\\" }, 'search_path')).toBe("search_path = 'a'', b\\\\'");
});

test('every server boots blocked and following nobody', () => {
  expect(bootSettings).toEqual({
    synchronousStandbyNames: 'ANY 1 ("mainstay_nobody")',
    primaryConninfo: '',
    primarySlotName: '',
    synchronizedStandbySlots: '',
    copiesLogicalSlots: false,
    clientsReadOnly: false,
    replayDelay: 0,
  });
});

test('the gate comes after the agent and the replicas and before every client', () => {
  const lines = pgHba(undefined)
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
  const gate = lines.indexOf('include_if_exists gate.conf');
  expect(lines.slice(0, gate).every((line) => /postgres peer|mainstay_/.test(line))).toBe(true);
  expect(lines[gate + 1]).toBe('host all,replication postgres all reject');
});

test('a lowered setting does not stop a standby whose primary had more', () => {
  const control =
    'max_connections setting:              300\nmax_prepared_xacts setting:           0\nmax_locks_per_xact setting:           64\n';
  const floors = floorsFromControlData(control);
  expect(floors).toEqual({ max_connections: 300, max_prepared_transactions: 0, max_locks_per_transaction: 64 });
  const text = postgresqlConf(definition({ max_connections: '50' }), layout('/v', '18'), floors);
  expect(text.split('\n').findLast((line) => line.startsWith('max_connections'))).toBe("max_connections = '300'");
});

describe('who is let in how', () => {
  const rules = { required: false, minVersion: 'TLSv1.2', certificatesOnly: false } as const;
  const linesOf = (tls: TlsRules | undefined): readonly string[] => pgHba(tls).split('\n');

  test('replicas by password until all have certificates, then by nothing else', () => {
    expect(linesOf(rules)).toContain('host replication mainstay_replication all scram-sha-256');
    const only = linesOf({ ...rules, certificatesOnly: true }).filter((line) => line.includes('mainstay_'));
    expect(only).toEqual([
      'hostssl replication mainstay_replication all cert map=mainstay',
      'hostssl postgres mainstay_replication all cert map=mainstay',
      'hostssl all mainstay_rewind all cert map=mainstay',
      'host all,replication mainstay_replication,mainstay_rewind all reject',
    ]);
  });

  test('plain text is refused before any line that could let it in', () => {
    const lines = linesOf({ ...rules, required: true });
    const refusal = lines.indexOf('hostnossl all,replication all all reject');
    const clients = lines.findIndex((line) => /^host(nossl)? all all .*scram/.test(line));
    expect(refusal).toBeGreaterThan(0);
    expect(refusal).toBeLessThan(clients);
  });

  test('a list of ciphers that OpenSSL does not know is left out: PostgreSQL would not start', () => {
    const certificates = {
      fingerprint: 'f',
      directory: '/run/tls/f',
      agent: { name: 'mainstay-agent-u', subject: '/CN=mainstay-agent-u' },
    };
    expect(tlsConf({ ...rules, ciphers: 'HIGH:!aNULL' }, certificates)).toContain("ssl_ciphers = 'HIGH:!aNULL'");
    expect(tlsConf({ ...rules, ciphers: 'NO-SUCH' }, certificates)).not.toContain('ssl_ciphers');
    expect(tlsConf(rules, undefined)).toBe('ssl = off\n');
    expect(pgIdent(certificates)).toBe(
      'mainstay "mainstay-agent-u" mainstay_replication\nmainstay "mainstay-agent-u" mainstay_rewind\n',
    );
  });
});
