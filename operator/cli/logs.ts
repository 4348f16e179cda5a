/** `logs`: the agents' and their databases' lines, through kubectl, which knows how to follow several Pods. */
import { profileOf } from '../engines/profiles.ts';
import { exitCodes, type Command } from './command.ts';
import { clusterNamed } from './clusters.ts';

export const logs: Command = {
  name: 'logs',
  summary: 'log lines of all instances, or of one',
  details: "JSON lines: `| jq -r '[.time, .level, .msg] | @tsv'` makes them short.",
  operands: [{ name: 'CLUSTER' }, { name: 'INSTANCE', optional: true }],
  options: [
    { name: 'follow', short: 'f', description: 'go on with new lines' },
    { name: 'tail', value: 'LINES', description: 'only the last lines of each instance' },
    { name: 'since', value: 'TIME', description: 'only lines of the last 5m, 2h, …' },
    { name: 'previous', short: 'p', description: 'of the containers before the last restart' },
  ],
  examples: ['kubectl mainstay logs orders -f', 'kubectl mainstay logs orders orders-2 --since 10m'],

  async run({ operands, switches, values, ...input }, world) {
    const session = await world.connect({ operands, switches, values, ...input });
    const [cluster = '', instance] = operands;
    const found = await clusterNamed(session, cluster, world.signal);
    const which =
      instance === undefined
        ? [`--selector=mainstay.dev/cluster=${cluster},mainstay.dev/instance`]
        : [`pod/${instance}`];
    const passed = [
      ...['follow', 'previous'].flatMap((name) => (switches.has(name) ? [`--${name}`] : [])),
      // By label kubectl shows 10 lines unless told.
      `--tail=${values.get('tail') ?? '-1'}`,
      ...(values.has('since') ? [`--since=${values.get('since') ?? ''}`] : []),
    ];
    const code = await world.kubectl([
      ...session.kubectlFlags,
      'logs',
      ...which,
      `--container=${profileOf(found).engine}`,
      ...(instance === undefined ? ['--prefix', `--max-log-requests=${Math.max(5, found.spec.instances)}`] : []),
      ...passed,
    ]);
    return code === 0 ? exitCodes.ok : exitCodes.error;
  },
};
