/** One call of the plugin: from its arguments to its exit code. */
import { MainstayError } from '../platform/errors.ts';
import { helpOf, overview, parse, program } from './command-line.ts';
import { exitCodes, UsageError, type Command, type ExitCode, type World } from './command.ts';
import { complete } from './completion.ts';

export async function run(commands: readonly Command[], args: readonly string[], world: World): Promise<ExitCode> {
  try {
    return await runOne(commands, args, world);
  } catch (error) {
    if (error instanceof UsageError) {
      world.err(error.message);
      return exitCodes.usage;
    }
    if (world.signal.aborted) return exitCodes.error;
    if (!(error instanceof MainstayError)) throw error;
    world.err(error.message);
    return exitCodes.error;
  }
}

async function runOne(commands: readonly Command[], args: readonly string[], world: World): Promise<ExitCode> {
  const [first, ...others] = args;
  if (first === '__complete') {
    const found = await complete(commands, others, world).catch(() => []);
    // 4: no completion of file names (cobra's ShellCompDirectiveNoFileComp).
    world.out([...found, ':4'].join('\n'));
    return exitCodes.ok;
  }
  if (first === undefined || first === '--help' || first === '-h' || (first === 'help' && others.length === 0)) {
    world.out(overview(commands));
    return exitCodes.ok;
  }
  const name = first === 'help' ? others[0] : first;
  const command = commands.find((candidate) => candidate.name === name);
  if (!command) throw new UsageError(`There is no command “${name ?? ''}”: see ${program} --help`);
  const input = first === 'help' ? undefined : parse(command, others);
  if (!input || input.switches.has('help')) {
    world.out(helpOf(command));
    return exitCodes.ok;
  }
  for (const option of command.options) {
    const value = input.values.get(option.name);
    if (option.choices && value !== undefined && !option.choices.includes(value))
      throw new UsageError(`--${option.name} is “${value}”: choose ${option.choices.join(' or ')}`);
  }
  return command.run(input, world);
}
