/** What comes from Debian, installed only when missing. */
import { existsSync } from 'node:fs';
import { step } from './progress.ts';
import { run } from './process.ts';

const programs: Readonly<Record<string, readonly string[]>> = {
  containerd: ['/usr/bin/containerd'],
  runc: ['/usr/sbin/runc', '/usr/bin/runc'],
  'containernetworking-plugins': ['/usr/lib/cni/ptp'],
  conntrack: ['/usr/sbin/conntrack'],
  nftables: ['/usr/sbin/nft'],
  iproute2: ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'],
  openssl: ['/usr/bin/openssl'],
};

export const ensurePackages = (signal: AbortSignal): Promise<void> => installMissing(programs, signal);

/** Packages by name, each with where what it brings would be. */
export async function installMissing(
  wanted: Readonly<Record<string, readonly string[]>>,
  signal: AbortSignal,
): Promise<void> {
  const missing = Object.keys(wanted).filter((name) => !wanted[name]?.some((path) => existsSync(path)));
  if (missing.length === 0) return;
  await step(`Installing ${missing.join(', ')} from Debian`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-q'], { signal, env, timeoutMs: 300_000 });
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], {
      signal,
      env,
      timeoutMs: 600_000,
    });
  });
}
