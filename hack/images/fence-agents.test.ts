/** The programs in the image of fence agents, called as a FenceAgent's Job calls them. */
import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseFenceAgent } from '../../operator/api/fence-agent.ts';
import { fenceJob, type FenceStep } from '../../operator/resources/fence-job.ts';
import { startContainer } from '../container/container.ts';
import { rootForTests } from '../container/root.ts';

const { root, whyNot } = await rootForTests('fence-agents');
const inImage = whyNot === undefined ? test : test.skip;
const user = 65_532;

/** Ends with what it said, and its exit code. */
async function inside(argv: readonly string[], mounts: Readonly<Record<string, string>> = {}) {
  const { child } = startContainer({ root: root ?? '', user, ownNetwork: true, mounts, argv });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

inImage(
  'fence_dummy switches off, proves it, and switches on, with its Secret on standard input',
  async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-fence-'));
    try {
      await mkdir(path.join(folder, 'state'));
      await chown(path.join(folder, 'state'), user, user);
      await mkdir(path.join(folder, 'secret'));
      await writeFile(path.join(folder, 'secret/password'), 'secret');
      await mkdir(path.join(root ?? '', 'etc/mainstay/fence/agent'), { recursive: true });
      const mounts = {
        [path.join(folder, 'state')]: '/mnt/state',
        [path.join(folder, 'secret')]: '/etc/mainstay/fence/agent',
      };
      const agent = parseFenceAgent({
        apiVersion: 'mainstay.dev/v1alpha1',
        kind: 'FenceAgent',
        metadata: { name: 'dummy', uid: '1', generation: 1, resourceVersion: '1' },
        spec: {
          image: 'mainstay.dev/fence-agents:4',
          command: ['fence_dummy'],
          parameters: { type: 'file', status_file: '/mnt/state/node-1' },
          secretName: 'dummy',
          nodes: [{ name: 'node-1' }],
        },
      });
      const call = (step: FenceStep) => {
        const job = fenceJob(agent, { agent: 'dummy', node: 'node-1', incident: 'a', step, attempt: 1 }, 'default');
        const [container] = job.spec?.template.spec?.containers ?? [];
        const [variable] = container?.env ?? [];
        return inside(['env', `${variable?.name}=${variable?.value}`, ...(container?.command ?? [])], mounts);
      };
      expect(await call('on')).toMatchObject({ code: 0 });
      expect((await call('verify')).code).toBe(1);
      expect(await call('off')).toMatchObject({ code: 0 });
      expect(await call('verify')).toMatchObject({ code: 0 });
      expect(await call('on')).toMatchObject({ code: 0 });
      expect((await call('verify')).code).toBe(1);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  120_000,
);

/** Power by boards, sockets, clouds and hypervisors; storage by reservations and switches; network by switches. */
const programs = [
  ...['fence_ipmilan', 'fence_redfish', 'fence_apc', 'fence_apc_snmp', 'fence_aws', 'fence_pve'],
  ...['fence_vmware_rest', 'fence_virsh', 'fence_scsi', 'fence_mpath', 'fence_brocade', 'fence_ifmib'],
];

inImage.each(programs)(
  '%s begins as a user without rights on a read-only system',
  async (program) => {
    const { code, said } = await inside([program, '-o', 'metadata']);
    expect(said).toContain(`<resource-agent name="${program}"`);
    expect(code).toBe(0);
  },
  60_000,
);
