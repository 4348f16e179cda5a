import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { fromKubeconfig, fromKubeconfigText, inCluster } from './access.ts';
import { manualClock } from './manual-clock.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'access-'));
});
afterEach(() => rm(directory, { recursive: true }));
const write = (file: string, text: string): Promise<void> => writeFile(join(directory, file), text);

describe('in a Pod', () => {
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };

  test('the token is read again after a minute, and the last one serves while it cannot be', async () => {
    const clock = manualClock();
    await Promise.all([write('token', 'one\n'), write('ca.crt', 'CA'), write('namespace', 'shop')]);
    const access = await inCluster({ directory, environment, clock, log: pino({ level: 'silent' }) });
    expect(access).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'shop' });
    expect(await access.credentials()).toEqual({ token: 'one', ca: 'CA' });

    await write('token', 'two');
    expect((await access.credentials()).token).toBe('one');
    await clock.advance(60_000);
    expect((await access.credentials()).token).toBe('two');
    await rm(join(directory, 'token'));
    await clock.advance(60_000);
    expect((await access.credentials()).token).toBe('two');
  });

  test('a token that was never there is an error', async () => {
    const access = await inCluster({ directory, environment });
    await expect(access.credentials()).rejects.toMatchObject({ code: 'ConfigurationInvalid' });
    await expect(inCluster({ directory, environment: {} })).rejects.toMatchObject({ code: 'ConfigurationInvalid' });
  });
});

describe('by kubeconfig', () => {
  test('data, files beside it and tokens', async () => {
    const data = Buffer.from('CERT').toString('base64');
    await write('ca.pem', 'CA');
    await write(
      'config',
      `
current-context: b
contexts:
- {name: a, context: {cluster: c, user: person, namespace: shop}}
- {name: b, context: {cluster: c, user: robot}}
clusters:
- {name: c, cluster: {server: 'https://api:6443/', certificate-authority: ca.pem}}
users:
- {name: person, user: {client-certificate-data: ${data}, client-key-data: ${data}}}
- {name: robot, user: {token: secret}}
- {name: plug, user: {exec: {command: x}}}
`,
    );
    const robot = await fromKubeconfig(join(directory, 'config'));
    expect(robot).toMatchObject({ server: 'https://api:6443', namespace: 'default' });
    expect(await robot.credentials()).toMatchObject({ token: 'secret', ca: 'CA' });
    const person = await fromKubeconfig(join(directory, 'config'), 'a');
    expect(person.namespace).toBe('shop');
    expect(await person.credentials()).toMatchObject({ clientCertificate: 'CERT', clientKey: 'CERT' });
    await expect(fromKubeconfig(join(directory, 'config'), 'z')).rejects.toThrow('no context z');
  });

  test('a program that gives a token is asked again before the token expires', async () => {
    const clock = manualClock();
    const inAnHour = new Date(clock.wall().getTime() + 3_600_000).toISOString();
    const answer = JSON.stringify({ status: { token: '$(cat count)', expirationTimestamp: inAnHour } }).replaceAll(
      '"',
      '\\"',
    );
    await write(
      'plug',
      `#!/bin/sh\ncd "$(dirname "$0")" && echo "$GREETING" >> count && echo "${answer}" | tr '\\n' ' '\n`,
    );
    await chmod(join(directory, 'plug'), 0o755);
    const config = (command: string): string => `
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'https://api'}}]
users: [{name: u, user: {exec: {apiVersion: v1, command: ${command}, env: [{name: GREETING, value: hi}], installHint: Install it.}}}]
`;
    const access = await fromKubeconfigText(config('./plug'), { source: 'test', directory, clock });
    expect((await access.credentials()).token).toBe('hi');
    expect((await access.credentials()).token).toBe('hi');
    await clock.advance(3_599_000);
    expect((await access.credentials()).token).toBe('hi hi');
    const absent = await fromKubeconfigText(config('./absent'), { source: 'test', directory });
    await expect(absent.credentials()).rejects.toThrow('Install it.');
  });
});
