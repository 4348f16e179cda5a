/** Cuts a Pod's own network: finer than a node's, in one direction if wanted, and gone with the Pod. Local cluster only. */
import { run, tryRun } from './command.ts';
import { processesOf } from './pod-processes.ts';

export type Direction = 'both ways' | 'sending' | 'receiving';

const table = 'inet mainstay_pod_cuts';

/** Drops what the Pod sends to the addresses, receives from them, or both; adds to earlier cuts of the same Pod. */
export async function cutPod(podUid: string, addresses: readonly string[], direction: Direction): Promise<void> {
  await run('nsenter', [...(await networkOf(podUid)), 'nft', '-f', '-'], { input: cutRules(addresses, direction) });
}

/** Loses so many of a hundred packets that the Pod sends, and as many that it receives. */
export async function losePackets(podUid: string, percent: number): Promise<void> {
  await run('nsenter', [...(await networkOf(podUid)), 'nft', '-f', '-'], { input: lossRules(percent) });
}

/** Ends all cuts and losses of the Pod; one that is gone has none. */
export async function healPod(podUid: string): Promise<void> {
  const network = await networkOf(podUid).catch(() => undefined);
  if (network !== undefined) await tryRun('nsenter', [...network, 'nft', 'delete', 'table', ...table.split(' ')]);
}

export function cutRules(addresses: readonly string[], direction: Direction): string {
  const set = `{ ${addresses.join(', ')} }`;
  return [
    `table ${table} {`,
    ...(direction === 'sending'
      ? []
      : [`  chain arriving { type filter hook prerouting priority raw; ip saddr ${set} drop; }`]),
    ...(direction === 'receiving'
      ? []
      : [`  chain leaving { type filter hook postrouting priority 200; ip daddr ${set} drop; }`]),
    '}',
    '',
  ].join('\n');
}

export function lossRules(percent: number): string {
  const lost = `numgen random mod 100 < ${percent} drop`;
  return [
    `table ${table} {`,
    `  chain arriving { type filter hook prerouting priority raw; iifname != "lo" ${lost}; }`,
    `  chain leaving { type filter hook postrouting priority 200; oifname != "lo" ${lost}; }`,
    '}',
    '',
  ].join('\n');
}

/** All containers of a Pod share one network; any of its processes leads there. */
async function networkOf(podUid: string): Promise<readonly string[]> {
  const [first] = await processesOf(podUid);
  if (first === undefined) throw new Error(`nothing of Pod ${podUid} runs on this machine`);
  return ['--target', String(first.pid), '--net'];
}
