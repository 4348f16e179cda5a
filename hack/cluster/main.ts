/** `node hack/cluster/main.ts COMMAND`: a Kubernetes of three nodes on this machine. */
import {
  down,
  heal,
  load,
  partition,
  powerOff,
  powerOn,
  startApi,
  status,
  stopApi,
  up,
  type Status,
} from './cluster.ts';
import { isNodeName, nodes, type NodeName } from './layout.ts';
import type { Peer } from './network.ts';
import { say } from './progress.ts';

const usage = `Usage: node hack/cluster/main.ts COMMAND
  up                              start the cluster, or repair what runs
  down                            remove it, with its data; prove that nothing is left
  status                          nodes, power, cuts, Pods
  poweroff NODE                   kill everything of a node at once; its disk is kept
  poweron NODE                    boot it again
  partition NODE [from PEER …]    cut it from everything, or from nodes or the control-plane
  heal                            remove all cuts
  api stop|start                  the API server alone; nodes and Pods go on without it
  load FILE.tar …                 import image archives on all nodes
Nodes: ${nodes.join(' ')}`;

class UsageError extends Error {}

async function main(args: readonly string[], signal: AbortSignal): Promise<void> {
  const [command, ...rest] = args;
  switch (command) {
    case 'up':
      await up({ signal });
      print(await status({ signal }));
      return;
    case 'down':
      console.log(await down({ signal }));
      return;
    case 'status':
      print(await status({ signal }));
      return;
    case 'poweroff':
      await timed(`${nodeIn(rest)} is off, nothing of it runs`, () => powerOff(nodeIn(rest), { signal }));
      return;
    case 'poweron':
      await timed(`${nodeIn(rest)} is on`, () => powerOn(nodeIn(rest), { signal }));
      return;
    case 'partition': {
      const peers = rest.slice(rest[1] === 'from' ? 2 : 1).map(peer);
      const from = peers.length === 0 ? 'everything' : peers.join(', ');
      await timed(`${nodeIn(rest)} is cut from ${from}`, () => partition(nodeIn(rest), peers, { signal }));
      return;
    }
    case 'heal':
      await timed('all cuts removed', () => heal({ signal }));
      return;
    case 'api':
      if (rest[0] === 'stop') await timed('the API server is gone', () => stopApi({ signal }));
      else if (rest[0] === 'start') await timed('the API server answers', () => startApi({ signal }));
      else throw new UsageError('api stop, or api start?');
      return;
    case 'load':
      if (rest.length === 0) throw new UsageError('load needs at least one archive');
      await timed(`${rest.length} archive(s) on all nodes that are on`, () => load(rest, { signal }));
      return;
    case undefined:
      throw new UsageError('Which command?');
    default:
      throw new UsageError(`Unknown command: ${command}`);
  }
}

function nodeIn(args: readonly string[]): NodeName {
  const name = args[0] ?? '';
  if (!isNodeName(name)) throw new UsageError(`No such node: "${name}". Nodes: ${nodes.join(', ')}`);
  return name;
}

function peer(name: string): Peer {
  if (name === 'control-plane' || isNodeName(name)) return name;
  throw new UsageError(`No such peer: "${name}". Peers: ${nodes.join(', ')}, control-plane`);
}

async function timed(done: string, work: () => Promise<void>): Promise<void> {
  const began = performance.now();
  await work();
  console.log(`${done} (${((performance.now() - began) / 1000).toFixed(2)} s)`);
}

function print(seen: Status): void {
  console.log(`cluster ${seen.cluster}`);
  if (seen.cluster === 'down') return;
  for (const node of seen.nodes) {
    const cut =
      node.cut === undefined ? '' : `, cut from ${node.cut === 'everything' ? node.cut : node.cut.join(', ')}`;
    const ready = node.ready ? 'Ready' : 'NotReady';
    console.log(`${node.name}  ${node.zone}  ${node.address}  power ${node.power}  ${ready}  ${node.pods} Pods${cut}`);
  }
  console.log(`export KUBECONFIG=${seen.kubeconfig}`);
}

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => interruption.abort(new Error(`interrupted by ${name}`)));
}
try {
  await main(process.argv.slice(2), interruption.signal);
} catch (error) {
  for (let cause = error; cause instanceof Error; cause = cause.cause) say(cause.message);
  if (error instanceof UsageError) say(usage);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
