import { expect, test } from '@jest/globals';
import { declarationDigest, type Finding } from '../../api/cluster-state.ts';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { eventsBetween } from './cluster-events.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { statusFor } from './status.ts';

const roles = [{ name: 'shop', login: true }];
const databases = [{ name: 'shop', owner: 'shop' }];

function settled(spec: Record<string, unknown> = {}): World {
  const world = newWorld(sampleCluster(spec));
  for (let round = 0; round < 5; round += 1) {
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
  }
  return world;
}

const condition = (world: World, type: string) => {
  const found = statusFor(factsOf(world)).conditions?.find((one) => one.type === type);
  return `${found?.status ?? ''} ${found?.reason ?? ''}: ${found?.message ?? ''}`;
};

function finds(world: World, findings: readonly Finding[]): void {
  const declaration = declarationDigest(world.runtime.declaration?.value ?? '');
  world.runtime = { ...world.runtime, declared: { declaration, instance: 'orders-1', findings, at: '' } };
}

test('asked for, brought about, and told', () => {
  const world = settled({ roles, databases });
  expect(JSON.parse(world.runtime.declaration?.value ?? '')).toMatchObject({ roles, databases });
  expect(condition(world, 'RolesReady')).toMatch(/^True Applied/);
  expect(condition(world, 'DatabasesReady')).toMatch(/^True Applied/);
  expect(condition(world, 'Ready')).toMatch(/^True/);
  respec(world, { roles: [...roles, { name: 'more' }] });
  expect(condition(world, 'RolesReady')).toMatch(/^False Applying: 2 of spec.roles/);
  for (const action of decide(factsOf(world))) if (action.type === 'publish-definition') carryOut(world, action);
  expect(condition(world, 'Ready')).toMatch(/^False Progressing: RolesReady is False/);
});

test('nothing asked for is no condition for anything', () => {
  const world = settled();
  world.runtime = { ...world.runtime, declared: undefined };
  expect(condition(world, 'RolesReady')).toMatch(/^True NothingAsked/);
  expect(condition(world, 'Ready')).toMatch(/^True/);
});

test.each<[Finding['state'], string, RegExp, RegExp, string | undefined]>([
  ['failed', 'no such role', /^False Failed: shop: no such role$/, /^False/, 'DeclarationFailed'],
  ['waiting', 'later', /^False Waiting: shop: later$/, /^True/, undefined],
  ['drifted', 'is LOGIN', /^False Drifted: shop: is LOGIN .*mainstay\.dev\/apply-again/, /^True/, 'DeclarationDrifted'],
])('%s', (state, text, said, ready, event) => {
  const world = settled({ roles, databases });
  const before = statusFor(factsOf(world));
  finds(world, [{ kind: 'role', name: 'shop', state, text }]);
  expect(condition(world, 'RolesReady')).toMatch(said);
  expect(condition(world, 'DatabasesReady')).toMatch(/^True/);
  expect(condition(world, 'Ready')).toMatch(ready);
  const news = eventsBetween(before, statusFor(factsOf(world)), 3).map(({ reason }) => reason);
  expect(news).toEqual(event === undefined ? [] : [event]);
});

test('a Secret that is not there is named, and stops nothing else', () => {
  const world = settled({ roles: [{ ...roles[0], passwordSecret: { name: 'shop-login' } }] });
  world.passwords = { ...world.passwords, problems: new Map([['shop', 'Secret shop-login is not there']]) };
  expect(condition(world, 'RolesReady')).toBe('False SecretUnusable: shop: Secret shop-login is not there');
  expect(JSON.parse(world.runtime.declaration?.value ?? '')).toMatchObject({ roles: [{ name: 'shop', login: true }] });
});

test('instances that don’t see the new passwords among them are told once', () => {
  const world = settled();
  const password = { verifier: 'v', revision: 'r' };
  world.passwords = {
    ...world.passwords,
    known: new Map([
      ['mainstay_replication', password],
      ['mainstay_rewind', password],
    ]),
  };
  const told = (): readonly unknown[] =>
    decide(factsOf(world)).flatMap((action) => (action.type === 'announce-passwords' ? [action.instance] : []));
  expect(told()).toEqual(['orders-1', 'orders-2', 'orders-3']);
  for (const action of decide(factsOf(world))) carryOut(world, action);
  expect(told()).toEqual([]);
});

test('the annotation asks for everything anew', () => {
  const world = settled({ roles });
  world.cluster = {
    ...world.cluster,
    metadata: { ...world.cluster.metadata, annotations: { 'mainstay.dev/apply-again': '1' } },
  };
  expect(decide(factsOf(world)).map(({ type }) => type)).toEqual(['publish-declaration']);
});

test('first data that can’t be made are told with the reason', () => {
  const world = newWorld(sampleCluster());
  for (let round = 0; round < 2; round += 1) for (const action of decide(factsOf(world))) carryOut(world, action);
  const bootstrapFailure = 'spec.bootstrap.postInitSql: ConfigMap init, key a.sql failed: line 3: nonsense';
  const member = { instance: 'orders-1', bootstrapFailure } as never;
  world.runtime = { ...world.runtime, members: new Map([['orders-1', member]]) };
  expect(condition(world, 'Stalled')).toBe(
    `True BootstrapFailed: orders-1 can’t make the first data: ${bootstrapFailure}`,
  );
});
