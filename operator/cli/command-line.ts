/** From arguments to a command with its input, and help made from the same table. */
import { parseArgs } from 'node:util';
import { UsageError, type Command, type Input, type Option } from './command.ts';

export const commonOptions: readonly Option[] = [
  {
    name: 'namespace',
    short: 'n',
    value: 'NAME',
    description: 'namespace; that of the kubeconfig’s context by default',
  },
  { name: 'context', value: 'NAME', description: 'context of the kubeconfig' },
  { name: 'kubeconfig', value: 'FILE', description: 'in place of $KUBECONFIG or ~/.kube/config' },
  { name: 'help', short: 'h', description: 'this help' },
];

export const program = 'kubectl mainstay';

export function parse(command: Command, args: readonly string[]): Input {
  const options = [...command.options, ...commonOptions];
  const { values, positionals, tokens } = parsed(command, options, args);
  const end = tokens.find((token) => token.kind === 'option-terminator');
  const rest = end && command.rest !== undefined ? args.slice(end.index + 1) : [];
  const operands = positionals.slice(0, positionals.length - rest.length);
  const needed = command.operands.filter(({ optional }) => !optional);
  if (!('help' in values)) {
    const missing = needed[operands.length];
    if (missing) throw new UsageError(`${missing.name} is missing: ${usage(command)}`);
    const extra = operands[command.operands.length];
    if (extra !== undefined) throw new UsageError(`“${extra}” is too much: ${usage(command)}`);
  }
  const given = Object.entries(values);
  return {
    operands,
    switches: new Set(given.flatMap(([name, value]) => (value === true ? [name] : []))),
    values: new Map(given.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : []))),
    rest,
  };
}

function parsed(command: Command, options: readonly Option[], args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      tokens: true,
      strict: true,
      options: Object.fromEntries(
        options.map(({ name, short, value }) => [
          name,
          { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
        ]),
      ),
    });
  } catch (error) {
    const problem = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error);
    throw new UsageError(`${problem}: see ${program} ${command.name} --help`);
  }
}

export function usage({ name, operands, options, rest }: Command): string {
  const parts = operands.map((operand) => (operand.optional ? `[${operand.name}]` : operand.name));
  const more = options.length > 0 ? ['[options]'] : [];
  return [program, name, ...parts, ...more, ...(rest === undefined ? [] : [`[-- ${rest}]`])].join(' ');
}

export function helpOf(command: Command): string {
  return [
    command.summary,
    ...(command.details === undefined ? [] : [command.details]),
    `Usage:\n  ${usage(command)}`,
    ...(command.options.length > 0 ? [`Options:\n${optionLines(command.options)}`] : []),
    `Common options:\n${optionLines(commonOptions)}`,
    `Examples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`,
  ].join('\n\n');
}

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    'Highly available databases by Mainstay: how they are, and what can be done with them.',
    `Usage:\n  ${program} COMMAND [options]`,
    `Commands:\n${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}`,
    `Exit codes: 0 done (status: ready), 1 status: degraded, 2 status: no writes, 3 operation refused or failed,
4 no answer (no such cluster, no right, no API server), 64 wrong usage.`,
    `${program} COMMAND --help tells more. Shell completion: ${program} completion --help`,
  ].join('\n\n');
}

function optionLines(options: readonly Option[]): string {
  const lines = options.map(({ name, short, value, description }) => ({
    left: `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
    description,
  }));
  const width = Math.max(...lines.map(({ left }) => left.length));
  return lines.map(({ left, description }) => `  ${left.padEnd(width)}  ${description}`).join('\n');
}
