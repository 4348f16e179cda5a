import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseFenceAgent } from '../api/fence-agent.ts';
import { fenceJob, fenceJobName, type FenceCall, type FenceStep } from './fence-job.ts';

const agent = (command: readonly string[]) =>
  parseFenceAgent({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'FenceAgent',
    metadata: { name: 'power', uid: 'u' },
    spec: {
      image: 'fence-agents:4',
      command,
      parameters: { ip: '192.0.2.1', lanplus: '1' },
      secretName: 'bmc',
      nodes: [{ name: 'n1', plug: '7', parameters: { ip: '192.0.2.7' } }],
    },
  });
const call = (step: FenceStep): FenceCall => ({ agent: 'power', node: 'n1', incident: 'i', step, attempt: 1 });

let folder = '';
let program = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'fence-'));
  program = path.join(folder, 'fence_test');
  // Ends with its first argument, as what it was told says.
  await writeFile(program, 'cat >"$2"\nexit "$1"\n');
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs what the Job's container would run. */
async function carriedOut(step: FenceStep, status: number): Promise<{ readonly code: number; readonly told: string }> {
  const told = path.join(folder, 'told');
  const container = fenceJob(agent(['sh', program, String(status), told]), call(step), 'ops').spec?.template.spec
    ?.containers[0];
  const [shell = '', ...words] = container?.command ?? [];
  const env = { ...process.env, ...Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value])) };
  const code = await new Promise<number>((resolve) => {
    execFile(shell, words, { env }, (error) => resolve(error ? Number(error.code) : 0));
  });
  return { code, told: await readFile(told, 'utf8') };
}

test('the program gets its parameters on standard input, those of the node before those of all', async () => {
  const { code, told } = await carriedOut('off', 0);
  expect(code).toBe(0);
  expect(told).toBe('action=off\nip=192.0.2.7\nlanplus=1\nplug=7\nport=7\n');
});

test.each<[FenceStep, number, number]>([
  ['off', 1, 1],
  ['on', 0, 0],
  ['verify', 2, 0],
  ['verify', 0, 1],
  ['verify', 1, 1],
])('%s, which the program ends with %d, ends with %d', async (step, status, expected) => {
  const { code, told } = await carriedOut(step, status);
  expect(code).toBe(expected);
  expect(told).toContain(`action=${step === 'verify' ? 'status' : step}\n`);
});

test('passwords come from a Secret as files: not in arguments or environment', () => {
  const { spec } = fenceJob(agent(['fence_ipmilan']), call('off'), 'ops').spec?.template ?? {};
  expect(spec?.volumes).toContainEqual({ name: 'agent', secret: { secretName: 'bmc', defaultMode: 0o440 } });
  expect(spec?.containers[0]?.env?.every(({ valueFrom }) => valueFrom === undefined)).toBe(true);
});

test('it is made once, never on the node that it switches off, and without a token', () => {
  const job = fenceJob(agent(['fence_ipmilan']), call('off'), 'ops');
  expect(job.metadata?.name).toBe(fenceJobName(call('off')));
  expect(fenceJobName({ ...call('off'), attempt: 2 })).not.toBe(job.metadata?.name);
  expect(job.spec).toMatchObject({ backoffLimit: 0 });
  expect(job.spec?.template.spec).toMatchObject({ restartPolicy: 'Never', automountServiceAccountToken: false });
  expect(JSON.stringify(job.spec?.template.spec?.affinity)).toContain('"NotIn","values":["n1"]');
});
