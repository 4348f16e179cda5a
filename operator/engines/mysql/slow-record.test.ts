import { expect, test } from '@jest/globals';
import { slowRecordOf } from './slow-record.ts';

const head = [
  '# Time: 2026-11-30T22:00:00.123456Z',
  '# User@Host: app[app] @ client.shop [10.1.2.3]  Id:    12',
  '# Query_time: 2.000123  Lock_time: 0.000001 Rows_sent: 1  Rows_examined: 7',
];

test('an entry is taken apart, its statement as it was sent', () => {
  expect(slowRecordOf([...head, 'use shop;', 'SET timestamp=1796083200;', 'SELECT 1,', '  2 # Time: none;'])).toEqual({
    time: '2026-11-30T22:00:00.123456Z',
    user: 'app',
    host: '10.1.2.3',
    thread: 12,
    query_time: 2.000123,
    lock_time: 0.000001,
    rows_sent: 1,
    rows_examined: 7,
    database: 'shop',
    statement: 'SELECT 1,\n  2 # Time: none',
  });
});

test('by the socket there is a name in place of an address', () => {
  const who = '# User@Host: root[root] @ localhost []  Id:  9';
  expect(
    slowRecordOf([head[0] ?? '', who, head[2] ?? '', 'SET timestamp=1;', '# administrator command: Ping;']),
  ).toMatchObject({ user: 'root', host: 'localhost', thread: 9 });
});

test.each([
  [
    'what a server writes at the beginning of a file',
    ['/usr/sbin/mysqld, Version: 9.7.4. started with:', 'Tcp port: 3306'],
  ],
  ['nothing', []],
  ['an entry without its beginning', head.slice(1)],
])('%s is no entry', (_, lines) => {
  expect(slowRecordOf(lines)).toBeUndefined();
});
