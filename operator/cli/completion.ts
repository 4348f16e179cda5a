/** Completion of the shell: the shell asks this program with the words so far, so that it is never behind the commands. */
import { clustersIn } from './clusters.ts';
import { commonOptions } from './command-line.ts';
import { exitCodes, UsageError, type Command, type Option, type World } from './command.ts';

/** kubectl looks for `kubectl_complete-mainstay` in $PATH and shows what that prints. */
const kubectlScript = `#!/usr/bin/env sh
# Save it as kubectl_complete-mainstay in a folder of $PATH, executable: then "kubectl mainstay <TAB>" completes.
exec kubectl-mainstay __complete "$@"
`;

const bashScript = `# source <(kubectl-mainstay completion bash): completes kubectl-mainstay
_kubectl_mainstay() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in :*) ;; *) COMPREPLY+=("$line") ;; esac
  done < <(kubectl-mainstay __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_mainstay kubectl-mainstay
`;

const zshScript = `#compdef kubectl-mainstay
# source <(kubectl-mainstay completion zsh): completes kubectl-mainstay
_kubectl_mainstay() {
  local -a found
  found=(\${(f)"$(kubectl-mainstay __complete "\${words[@]:1:CURRENT-1}" 2>/dev/null | grep -v '^:')"})
  compadd -- $found
}
compdef _kubectl_mainstay kubectl-mainstay
`;

const scripts = new Map([
  ['kubectl', kubectlScript],
  ['bash', bashScript],
  ['zsh', zshScript],
]);

export const completion: Command = {
  name: 'completion',
  summary: 'a script that lets the shell complete commands and names',
  details: 'kubectl: for "kubectl mainstay", in any shell that completes kubectl. bash, zsh: for "kubectl-mainstay".',
  operands: [{ name: 'SHELL' }],
  options: [],
  examples: [
    'kubectl mainstay completion kubectl > ~/.local/bin/kubectl_complete-mainstay && chmod +x ~/.local/bin/kubectl_complete-mainstay',
    'source <(kubectl-mainstay completion bash)',
  ],
  run({ operands: [shell = ''] }, world) {
    const script = scripts.get(shell);
    if (script === undefined)
      throw new UsageError(`“${shell}” is not known: choose one of ${[...scripts.keys()].join(', ')}`);
    world.out(script.trimEnd());
    return Promise.resolve(exitCodes.ok);
  },
};

/** What may stand in place of the last word, one a line, then kubectl's directive "no files". */
export async function complete(
  commands: readonly Command[],
  words: readonly string[],
  world: World,
): Promise<readonly string[]> {
  const last = words.at(-1) ?? '';
  const starting = (found: readonly string[]) => found.filter((word) => word.startsWith(last)).toSorted();
  if (words.length <= 1) return starting([...commands.map(({ name }) => name), 'help']);
  const command = commands.find(({ name }) => name === words[0]);
  if (!command) return [];
  const options = [...command.options, ...commonOptions];
  const expecting = valueOf(options, words.at(-2));
  if (expecting) {
    if (expecting.choices) return starting(expecting.choices);
    return expecting.value === 'INSTANCE' ? starting(await instances(words, options, world)) : [];
  }
  if (last.startsWith('-')) return starting(options.map(({ name }) => `--${name}`));
  const given = operandsIn(words.slice(1, -1), options);
  switch (command.operands[given.length]?.name) {
    case 'CLUSTER':
      return starting((await clusters(words, options, world)).map(({ metadata }) => metadata?.name ?? ''));
    case 'INSTANCE':
      return starting(await instances(words, options, world));
    case 'SHELL':
      return starting([...scripts.keys()]);
    case 'COMMAND':
      return starting(commands.map(({ name }) => name));
    case undefined:
      return [];
  }
}

const valueOf = (options: readonly Option[], word: string | undefined): Option | undefined =>
  options.find(
    ({ name, short, value }) =>
      value !== undefined && (word === `--${name}` || (short !== undefined && word === `-${short}`)),
  );

function operandsIn(words: readonly string[], options: readonly Option[]): readonly string[] {
  return words.filter((word, index) => !word.startsWith('-') && !valueOf(options, words[index - 1]));
}

async function clusters(words: readonly string[], options: readonly Option[], world: World) {
  const values = new Map(
    words.flatMap((word, index) => {
      const option = valueOf(options, word);
      const value = words[index + 1];
      return option && value !== undefined ? [[option.name, value] as const] : [];
    }),
  );
  const session = await world.connect({ operands: [], switches: new Set(), values, rest: [] });
  return clustersIn(session, { namespace: session.namespace }, world.signal);
}

async function instances(
  words: readonly string[],
  options: readonly Option[],
  world: World,
): Promise<readonly string[]> {
  const [name] = operandsIn(words.slice(1, -1), options);
  const found = (await clusters(words, options, world)).find(({ metadata }) => metadata?.name === name);
  return (found?.status.instancesStatus ?? []).map((instance) => instance.name);
}
