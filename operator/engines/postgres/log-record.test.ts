import { describe, expect, test } from '@jest/globals';
import { plainRecord, recordOf } from './log-record.ts';

const line = (fields: Record<string, unknown>): string =>
  JSON.stringify({ timestamp: '2026-11-21 14:15:16.123 UTC', pid: 7, error_severity: 'LOG', ...fields });

test('a line of jsonlog: its time, its message, and the rest under PostgreSQL’s own names', () => {
  expect(
    recordOf(
      line({
        user: 'app',
        dbname: 'shop',
        error_severity: 'ERROR',
        state_code: '42601',
        message: 'syntax error at or near "SELEC"',
        statement: 'SELEC\n  1',
      }),
    ),
  ).toEqual({
    level: 'error',
    time: '2026-11-21T14:15:16.123Z',
    message: 'syntax error at or near "SELEC"',
    pg: { pid: 7, user: 'app', dbname: 'shop', error_severity: 'ERROR', state_code: '42601', statement: 'SELEC\n  1' },
  });
});

test.each([
  ['DEBUG3', 'debug'],
  ['LOG', 'info'],
  ['NOTICE', 'info'],
  ['WARNING', 'warn'],
  ['ERROR', 'error'],
  ['FATAL', 'error'],
  ['PANIC', 'fatal'],
  ['PROBLEM', 'info'],
])('%s is %s', (severity, level) => {
  expect(recordOf(line({ error_severity: severity, message: 'm' })).level).toBe(level);
});

test('a time of another zone is left to the reader of the line', () => {
  expect(recordOf(line({ timestamp: '2026-11-21 14:15:16.123 CET', message: 'm' }))).not.toHaveProperty('time');
});

test.each([
  ['2026-11-21 14:15:16.123 UTC [42] FATAL:  could not create lock file', 'error', 'could not create lock file', 42],
  ['2026-11-21 14:15:16.123 UTC [42] @ PANIC:  could not write', 'fatal', 'could not write', 42],
  ['LOG:  redirecting log output', 'info', 'redirecting log output', undefined],
  ['postgres: error while loading shared libraries: x.so', 'info', undefined, undefined],
  ['free(): invalid pointer', 'info', undefined, undefined],
  ['NONSENSE:  what', 'info', undefined, undefined],
])('plain text: %s', (text, level, message, pid) => {
  const record = plainRecord(text);
  expect([record.level, record.message, record.pg['pid']]).toEqual([level, message ?? text, pid]);
});

test('nonsense is told as it is', () => {
  expect(recordOf('{"half').message).toBe('{"half');
  expect(recordOf('17').message).toBe('17');
});

test('huge texts are cut, with a mark', () => {
  const { message, pg } = recordOf(line({ message: 'm'.repeat(20_000), statement: 's'.repeat(10) }));
  expect(message).toMatch(/^m{16384}… \[3616 more characters\]$/);
  expect(pg['statement']).toBe('ssssssssss');
});

test.each(['', '\\', '\\u', '\\u00', '\\n'])('a line that was cut within a text after %j keeps its fields', (end) => {
  const whole = line({ error_severity: 'ERROR', message: 'm', statement: 'SELECT '.repeat(5000) });
  const record = recordOf(whole.slice(0, 30_000) + end, true);
  expect(record).toMatchObject({ level: 'error', message: 'm', pg: { pid: 7 } });
  expect(record.pg['statement']).toMatch(/more characters\]$/);
});

describe('passwords', () => {
  const secret = 'hunter2';
  test.each<[string, Record<string, unknown>]>([
    ['log_statement', { message: `statement: ALTER ROLE app PASSWORD '${secret}'` }],
    ['options first', { message: `statement: create user a valid until 'infinity' encrypted password E'${secret}'` }],
    ['a failing statement', { message: 'role "a" does not exist', statement: `ALTER ROLE a PASSWORD '${secret}'` }],
    [
      'forgotten quotes',
      { message: `syntax error at or near "${secret}"`, statement: `ALTER ROLE a PASSWORD ${secret}` },
    ],
    [
      'unterminated',
      { message: `unterminated string at or near "'${secret}"`, statement: `ALTER ROLE a PASSWORD '${secret}` },
    ],
    ['dollar quotes', { message: `duration: 3 ms  statement: ALTER ROLE a PASSWORD $x$${secret}$x$` }],
    ['a comment between', { message: `statement: ALTER ROLE a PASSWORD /* the new one */ '${secret}'` }],
    ['broken lines', { message: `statement: ALTER ROLE a\n  WITH LOGIN\n  PASSWORD\n  '${secret}'` }],
    ['a connection string', { message: `statement: CREATE SUBSCRIPTION s CONNECTION 'host=h password=${secret}'` }],
    [
      'a user mapping',
      { message: `statement: CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password '${secret}')` },
    ],
    [
      'within a block',
      {
        message: `statement: DO $$ DECLARE p text := '${secret}'; BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || p; END $$`,
      },
    ],
    [
      'a context',
      {
        message: 'permission denied',
        context: `SQL statement "ALTER ROLE a PASSWORD '${secret}'"`,
        statement: `SELECT set_pass('${secret}')`,
      },
    ],
    [
      'parameters',
      { message: 'execute <unnamed>: SELECT change_it($1) -- password', detail: `Parameters: $1 = '${secret}'` },
    ],
  ])('%s', (_what, fields) => {
    expect(JSON.stringify(recordOf(line(fields)))).not.toContain(secret);
  });

  test('what comes before is kept', () => {
    const message = `statement: ALTER ROLE app VALID UNTIL now PASSWORD '${secret}'`;
    expect(recordOf(line({ message })).message).toBe('statement: ALTER ROLE app VALID UNTIL now PASSWORD [redacted]');
  });

  test('what names none stays whole', () => {
    const statement = "SELECT password_digest FROM users WHERE mail = 'a@b'";
    expect(recordOf(line({ message: 'm', statement })).pg['statement']).toBe(statement);
    const message = 'password authentication failed for user "app"';
    expect(recordOf(line({ message })).message).toBe(message);
  });
});
