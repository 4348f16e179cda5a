import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bestCandidate } from './successor.ts';
import { judgeTakeover } from './takeover.ts';
import { notAbove } from './position.ts';
import { at, definition, view, voter } from './testing.ts';

describe('who may claim the next epoch', () => {
  const short = at(1, '0/100');
  const long = at(1, '0/200');
  const holding = (numbers: string) => ({ epoch: 1, gtids: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${numbers}` });
  test.each([
    ['nobody without a promise of its own', {}, 'b', 'refused'],
    ['not one of two members: the other may still acknowledge (F1)', { promises: { b: [2, long] } }, 'b', 'wait'],
    ['both members have promised', { promises: { b: [2, long], c: [2, short] } }, 'b', 'allowed'],
    ['a promise above one’s own does not count (F6)', { promises: { b: [2, short], c: [2, long] } }, 'b', 'wait'],
    ['a promise for another epoch does not count', { promises: { b: [2, long], c: [1, short] } }, 'b', 'wait'],
    ['a promise of former data does not count (F8)', { promises: { b: [2, long], c: [2, short, 'old'] } }, 'b', 'wait'],
    ['the recorded primary, sealed, is enough (F11)', { promises: { a: [2, long] } }, 'a', 'allowed'],
    ['its promise counts for another that has as much', { promises: { a: [2, short], b: [2, short] } }, 'b', 'allowed'],
    ['but not for one that has less', { promises: { a: [2, long], b: [2, short] } }, 'b', 'wait'],
    ['nor the word of its former data', { promises: { a: [2, long, 'old'] } }, 'a', 'wait'],
    [
      'one of two is enough where two acknowledge',
      { sync: { acknowledgements: 2 }, promises: { b: [2, short] } },
      'b',
      'allowed',
    ],
    [
      'an instance outside the set may claim by the votes of members',
      { promises: { d: [2, long], b: [2, short], c: [2, short] } },
      'd',
      'allowed',
    ],
    ['its own promise is no vote', { promises: { d: [2, long], b: [2, short] } }, 'd', 'wait'],
    [
      'nobody where two members each hold what the other lacks, although one of them would be enough',
      { sync: { acknowledgements: 2 }, promises: { b: [2, holding('1-9')], c: [2, holding('1-8:11')] } },
      'b',
      'refused',
    ],
    [
      'what an instance outside the set holds besides keeps no member from leading',
      { promises: { b: [2, holding('1-9')], c: [2, holding('1-8')], d: [2, holding('1-8:11')] } },
      'b',
      'allowed',
    ],
    [
      'from an empty set only the recorded primary (F5)',
      { sync: { members: [], acknowledgements: 0 }, promises: { b: [2, long] } },
      'b',
      'refused',
    ],
    [
      'from a set too small to acknowledge as well',
      { sync: { members: [], acknowledgements: 1 }, promises: { b: [2, long] } },
      'b',
      'refused',
    ],
    [
      'Async accepts the loss',
      {
        sync: { members: [], acknowledgements: 0 },
        definition: { durability: { mode: 'Async', acknowledgements: 0 } },
        promises: { b: [2, long] },
      },
      'b',
      'allowed',
    ],
  ] as const)('%s', (_, parts, candidate, verdict) => {
    expect(judgeTakeover(view({ leader: undefined, ...parts }), candidate).verdict).toBe(verdict);
  });

  test('says who is missing', () => {
    expect(judgeTakeover(view({ promises: { b: [2, at(1, '0/100')] } }), 'b')).toEqual({
      verdict: 'wait',
      needed: 1,
      missing: ['c'],
    });
  });
});

test('whoever may claim holds every write that any k members could have acknowledged', () => {
  const names = ['b', 'c', 'd', 'e', 'f'];
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }).chain((size) =>
        fc.record({
          size: fc.constant(size),
          k: fc.integer({ min: 1, max: size }),
          positions: fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 })), {
            minLength: 5,
            maxLength: 5,
          }),
          promised: fc.subarray(names),
        }),
      ),
      ({ size, k, positions, promised }) => {
        const members = names.slice(0, size);
        const position = (name: string) => {
          const [epoch, offset] = positions[names.indexOf(name)] ?? [1, 1];
          return at(epoch, `0/${offset}00`);
        };
        const seen = view({
          epoch: 3,
          leader: undefined,
          sync: { members: members.map((m) => voter(m)), acknowledgements: k },
          promises: Object.fromEntries(promised.map((name) => [name, [4, position(name)] as const])),
        });
        for (const candidate of promised) {
          if (judgeTakeover(seen, candidate).verdict !== 'allowed') continue;
          // A write above the candidate's position is held, at most, by members that are above it or have not promised:
          // k of them would have to hold it for it to be acknowledged.
          const could = members.filter((m) => !promised.includes(m) || !notAbove(position(m), position(candidate)));
          if (could.length >= k) return false;
        }
        return true;
      },
    ),
    { numRuns: 2000 },
  );
});

describe('who of them should', () => {
  const promises = { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')], a: [2, at(1, '0/100')] } as const;
  test('the longest log, then the name', () => {
    expect(
      bestCandidate(view({ leader: undefined, promises: { b: [2, at(1, '0/100')], c: [2, at(1, '0/200')] } })),
    ).toBe('c');
    expect(bestCandidate(view({ leader: undefined, promises: { b: promises.b, c: promises.c } }))).toBe('b');
  });
  test('the named successor of a planned release first, the one who released last', () => {
    const release = { epoch: 1, instance: 'a', reason: 'Switchover', candidate: 'c' };
    expect(bestCandidate(view({ leader: undefined, promises, release }))).toBe('c');
    expect(
      bestCandidate(view({ leader: undefined, promises, release: { epoch: 1, instance: 'a', reason: 'Switchover' } })),
    ).toBe('b');
  });
  test('a release of an older epoch means nothing', () => {
    const release = { epoch: 0, instance: 'b', reason: 'Switchover', candidate: 'c' };
    expect(bestCandidate(view({ leader: undefined, promises, release }))).toBe('a');
  });
  test('nobody where nobody may', () => {
    expect(bestCandidate(view({ promises: { b: promises.b }, definition }))).toBeUndefined();
  });
});
