import { afterEach, expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { insideNode, insideRepository, startContainer, type Container } from '../../hack/container/container.ts';
import { realServers } from '../../hack/container/real-servers.ts';
import { initScript } from './init.ts';

const { root, onRealServers, title } = await realServers();

let container: Container | undefined;
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  await container?.kill();
  for (const step of cleanUp.splice(0)) await step();
  container = undefined;
});

const user = 999;

/** The agent as its Pod runs it, with an etcd that nobody answers for. Resolves with the container when the line is logged. */
async function agentThatSays(line: RegExp, prepare: (volume: string) => Promise<void>): Promise<Container> {
  const folder = await mkdtemp(join(tmpdir(), 'mainstay-agent-'));
  cleanUp.push(() => rm(folder, { recursive: true }));
  await chown(folder, user, user);
  await writeFile(join(folder, 'init'), initScript);
  await prepare(folder);
  const settings = {
    ENGINE: 'postgres',
    NAMESPACE: 'test',
    CLUSTER: 't',
    CLUSTER_UID: '1',
    INSTANCE: 't-1',
    POD_IP: '127.0.0.1',
    ETCD_ENDPOINTS: 'http://127.0.0.1:1',
    AGENT_PORT: '0',
  };
  const started = startContainer({
    root: root,
    user,
    mounts: { [folder]: '/var/lib/mainstay' },
    argv: [
      ...['env', ...Object.entries(settings).map(([name, value]) => `MAINSTAY_${name}=${value}`)],
      ...['bash', '/var/lib/mainstay/init', insideNode, `${insideRepository}/operator/agent/main.ts`, 'run'],
    ],
  });
  container = started;
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const onText = (text: Buffer): void => {
      said += text.toString();
      if (line.test(said)) resolve();
    };
    started.child.stdout?.on('data', onText);
    started.child.stderr?.on('data', onText);
    started.child.once('exit', () => reject(new Error(said)));
  });
  return started;
}

const exitAfterSigterm = (of: Container): Promise<unknown> => {
  const ended = new Promise((resolve) => of.child.once('exit', (code) => resolve(code)));
  process.kill(of.processes().find(({ innerPid }) => innerPid === 1)?.pid ?? 0, 'SIGTERM');
  return ended;
};

onRealServers(title('SIGTERM ends an agent that waits for its volume'), async () => {
  const waiting = await agentThatSays(/another agent still holds this volume/, async (volume) => {
    const holder = spawn('flock', [join(volume, 'agent.lock'), 'bash', '-c', 'echo held; exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    cleanUp.unshift(() => holder.kill('SIGKILL'));
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    await chown(join(volume, 'agent.lock'), user, user);
  });
  expect(await exitAfterSigterm(waiting)).toBe(0);
});

onRealServers(title('SIGTERM ends an agent that finds no etcd'), async () => {
  const lonely = await agentThatSays(/could not renew the lease/, () => Promise.resolve());
  expect(await exitAfterSigterm(lonely)).toBe(0);
});
