/** The power of the local cluster's nodes behind a fence agent: a server on the host, and the program that Pods talk to it with. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { gateway } from '../cluster/layout.ts';
import type { Nodes } from './nodes.ts';

export interface PowerDevice {
  /** A program of the FenceAgentAPI, for an image with bash (mainstay.dev/fence-agents has it). */
  readonly command: readonly string[];
  /** What was asked of it, as in `off node-1`. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

/** `secret` must be sent along, as a password would. */
export async function powerDevice(nodes: Nodes, secret: string): Promise<PowerDevice> {
  const asked: string[] = [];
  const off = new Set<string>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let line = '';
    socket.on('error', () => undefined);
    socket.on('data', (part) => {
      line += part.toString('utf8');
      if (!line.endsWith('\n')) return;
      const [password = '', action = '', plug = ''] = line.trim().split(' ');
      line = '';
      asked.push(`${action} ${plug}`);
      void answer(password, action, plug).then(
        (code) => socket.end(`${code}\n`),
        () => socket.end('1\n'),
      );
    });
  });
  /** The exit code of the program. */
  async function answer(password: string, action: string, plug: string): Promise<number> {
    if (password !== secret) return 1;
    switch (action) {
      case 'off':
        await nodes.powerOff(plug);
        off.add(plug);
        return 0;
      case 'on':
        // Whatever kept it from being reached is not its power.
        await nodes.heal();
        await nodes.powerOn(plug);
        off.delete(plug);
        return 0;
      case 'status':
        return off.has(plug) ? 2 : 0;
      default:
        return 1;
    }
  }
  await new Promise<void>((resolve) => server.listen(0, gateway, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    command: ['bash', '-c', program, 'fence_local', gateway, String(port)],
    asked,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const program = `
while IFS='=' read -r name value; do
  case "$name" in action) action=$value;; plug) plug=$value;; password) password=$value;; esac
done
exec 3<>"/dev/tcp/$1/$2" || exit 1
echo "$password $action $plug" >&3
read -r code <&3 || exit 1
exit "$code"
`;
