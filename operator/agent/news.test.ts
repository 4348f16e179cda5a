import { expect, test } from '@jest/globals';
import type { Member } from '../api/cluster-state.ts';
import { isNews } from './news.ts';

const member = (changed: Partial<Member>): Member => ({
  instance: 'p-1',
  incarnation: 'a',
  state: 'running',
  role: 'primary',
  address: '10.0.0.1',
  databasePort: 5432,
  agentPort: 8008,
  node: 'n1',
  version: '18',
  position: { epoch: 3, lsn: '0/3000000' },
  ...changed,
});

test.each([
  ['nothing', {}, false],
  ['a log that has grown by little', { position: { epoch: 3, lsn: '0/300FFFF' } }, false],
  ['a log that has grown', { position: { epoch: 3, lsn: '0/3010000' } }, true],
  ['a shorter log', { position: { epoch: 3, lsn: '0/2000000' } }, true],
  ['another epoch', { position: { epoch: 4, lsn: '0/3000000' } }, true],
  ['another state', { state: 'streaming' }, true],
  ['little to replay', { backlog: 100 }, false],
  ['much to replay', { backlog: 100_000 }, true],
] as const)('%s', (_, changed, expected) => {
  expect(isNews(member({}), member(changed))).toBe(expected);
});

test('the first words, a position that was unknown, and each transaction where transactions count', () => {
  expect(isNews(undefined, member({}))).toBe(true);
  const { position, ...unknown } = member({});
  expect(isNews(unknown, { ...unknown, ...(position && { position }) })).toBe(true);
  const source = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
  const at = (last: number): Member => member({ position: { epoch: 3, gtids: `${source}:1-${last}` } });
  expect(isNews(at(5), at(6))).toBe(true);
  expect(isNews(at(5), at(5))).toBe(false);
});
