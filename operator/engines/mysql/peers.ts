/** Connections on which the other end has gone silent: the kernel sends again and again. A replica itself answers nothing while idle. */
import { readFile } from 'node:fs/promises';

/** Of the same bytes, unanswered: after about two seconds, a heartbeat a second being sent. */
const triesInVain = 3;

/** "10.9.0.11:41234" of each. */
export async function silentPeers(): Promise<ReadonlySet<string>> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const lines = tables.flatMap((table) => table.split('\n').slice(1));
  return new Set(
    lines.flatMap((line) => {
      // sl, local, remote, state, queues, timer, retransmissions, …
      const fields = line.trim().split(/\s+/);
      const tries = parseInt(fields[6] ?? '0', 16);
      return fields[2] !== undefined && tries >= triesInVain ? [addressOf(fields[2])] : [];
    }),
  );
}

/** "0B00090A:A112": four bytes each in the machine's order, little-endian; IPv4 within IPv6 is IPv4. */
export function addressOf(field: string): string {
  const [host = '', port = ''] = field.split(':');
  const words = host.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).toReversed());
  const isIpv4 = words.length === 1 || /^0{20}ffff/i.test(bytes.join(''));
  const text = isIpv4
    ? bytes
        .slice(-4)
        .map((byte) => parseInt(byte, 16))
        .join('.')
    : (bytes.join('').match(/.{4}/g) ?? []).map((group) => parseInt(group, 16).toString(16)).join(':');
  return `${text}:${parseInt(port, 16)}`;
}
