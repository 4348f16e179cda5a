/** The machine of an instance as the simulator saw it: what it does in each phase, and which phases follow. */
import { phases, type Phase } from '../../operator/ha/phases.ts';
import { simulate } from '../../operator/simulation/simulate.ts';
import { code, markdownTable, page } from './reference-pages.ts';

/** Worlds looked at, and how many must show a turn: in the table, and in the diagram, which would be unreadable with all. */
const worlds = 40;
const least = { table: 2, diagram: 8 };

type Group = 'Anywhere' | 'Founding' | 'Leading' | 'Electing' | 'Following';

const groups: Readonly<Record<Phase, Group>> = {
  fencing: 'Anywhere',
  unready: 'Anywhere',
  'blocked-etcd-replaced': 'Anywhere',
  'blocked-etcd-rewound': 'Anywhere',
  adopting: 'Anywhere',
  founding: 'Founding',
  'blocked-foreign-data': 'Founding',
  'taking-back': 'Leading',
  releasing: 'Leading',
  promoting: 'Leading',
  opening: 'Leading',
  serving: 'Leading',
  'serving-on-pledges': 'Leading',
  reclaiming: 'Leading',
  'handing-over': 'Leading',
  restarting: 'Anywhere',
  upgrading: 'Leading',
  fenced: 'Anywhere',
  failing: 'Leading',
  'giving-up': 'Leading',
  starting: 'Electing',
  'standing-back': 'Electing',
  sealing: 'Electing',
  'keeping-word': 'Electing',
  vowing: 'Electing',
  promising: 'Electing',
  'blocked-too-few-promises': 'Electing',
  'blocked-diverged': 'Electing',
  'may-not-claim': 'Electing',
  'leaving-claim': 'Electing',
  'waiting-for-fence': 'Electing',
  claiming: 'Electing',
  forcing: 'Electing',
  dataless: 'Electing',
  turning: 'Following',
  following: 'Following',
  'awaiting-primary': 'Following',
  'leaving-sync-set': 'Following',
  retiring: 'Following',
  rewinding: 'Following',
  cloning: 'Following',
  ending: 'Following',
};

/** In how many worlds, by `from to` and by `phase effect`. */
interface Seen {
  readonly turns: ReadonlyMap<string, number>;
  readonly acts: ReadonlyMap<string, number>;
}

let seen: Seen | undefined;

function observe(): Seen {
  const turns = new Map<string, number>();
  const acts = new Map<string, number>();
  for (let seed = 1; seed <= worlds; seed++) {
    const { machine } = simulate(seed);
    for (const turn of machine.turns) turns.set(turn, (turns.get(turn) ?? 0) + 1);
    for (const act of machine.acts) acts.set(act, (acts.get(act) ?? 0) + 1);
  }
  return { turns, acts };
}

export function stateMachinePage(): string {
  seen ??= observe();
  const { turns, acts } = seen;
  return page('The machine of an instance', [
    'Each decision of an agent is in one phase; the log tells each change. A decision depends on what is known, not on the phase before: these are the turns that the simulator shows in a fixed set of worlds with faults (`operator/simulation`), the most usual first.',
    `In at least ${least.diagram} of ${worlds} worlds:`,
    `\`\`\`mermaid\n${diagram(turns)}\n\`\`\``,
    ...[...new Set(Object.values(groups))].flatMap((group) => [
      `## ${group}`,
      markdownTable(
        ['Phase', 'Does', 'Until', 'Effects and transactions', 'Then'],
        phasesOf(group).map((phase) => [
          code(phase),
          phases[phase].does,
          phases[phase].until,
          after(acts, phase).map(code).join(' '),
          after(turns, phase).map(code).join(' '),
        ]),
      ),
    ]),
  ]);
}

const phasesOf = (group: Group): readonly Phase[] =>
  (Object.keys(groups) as Phase[]).filter((phase) => groups[phase] === group);

/** What comes with `first`, most often first. */
function after(counts: ReadonlyMap<string, number>, first: string): readonly string[] {
  return [...counts]
    .filter(([key, times]) => key.startsWith(`${first} `) && times >= least.table)
    .toSorted(([a, x], [b, y]) => y - x || a.localeCompare(b, 'en'))
    .map(([key]) => key.slice(first.length + 1));
}

function diagram(turns: ReadonlyMap<string, number>): string {
  const usual = [...turns]
    .filter(([, times]) => times >= least.diagram)
    .map(([turn]) => turn.split(' ') as [string, string])
    .toSorted(([a, b], [c, d]) => a.localeCompare(c, 'en') || b.localeCompare(d, 'en'));
  const shown = new Set(usual.flat());
  const boxes = [...new Set(Object.values(groups))].flatMap((group) => {
    const inside = phasesOf(group).filter((phase) => shown.has(phase));
    return inside.length === 0
      ? []
      : [`  state ${group} {`, ...inside.map((phase) => `    ${id(phase)}: ${phase}`), '  }'];
  });
  const arrows = usual.map(([from, to]) => `  ${from === 'start' ? '[*]' : id(from)} --> ${id(to)}`);
  return ['stateDiagram-v2', ...boxes, ...arrows].join('\n');
}

const id = (phase: string): string => phase.replaceAll('-', '_');
