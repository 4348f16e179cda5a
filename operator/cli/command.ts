/** What a command of the plugin is. Help, completion and parsing are made from it. */
import type { ClusterAccess } from '../kubernetes/access.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { Transport } from '../kubernetes/transport.ts';
import type { Clock } from '../platform/clock.ts';

export interface Option {
  readonly name: string;
  readonly short?: string;
  /** How its value is called; a switch without one. */
  readonly value?: string;
  readonly description: string;
  /** For completion. */
  readonly choices?: readonly string[];
}

export interface Operand {
  readonly name: 'CLUSTER' | 'INSTANCE' | 'SHELL' | 'COMMAND';
  readonly optional?: true;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** More than the summary; wrapped already. */
  readonly details?: string;
  readonly operands: readonly Operand[];
  readonly options: readonly Option[];
  /** What follows `--` goes to another program. */
  readonly rest?: string;
  readonly examples: readonly string[];
  readonly run: (input: Input, world: World) => Promise<ExitCode>;
}

export interface Input {
  readonly operands: readonly string[];
  readonly switches: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly rest: readonly string[];
}

/** Everything that a command touches. */
export interface World {
  readonly connect: (input: Input) => Promise<Session>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** kubectl with the terminal of this process; its exit code. */
  readonly kubectl: (args: readonly string[]) => Promise<ExitCode>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Session {
  readonly access: ClusterAccess;
  readonly client: KubernetesClient;
  /** For what isn't an object: logs, an agent's answers. */
  readonly transport: Transport;
  readonly namespace: string;
  /** Flags by which kubectl reaches the same. */
  readonly kubectlFlags: readonly string[];
}

/** For scripts; the same in all commands. */
export const exitCodes = {
  /** Done; of `status`: ready, with all instances. */
  ok: 0,
  /** Of `status`: writes are accepted, with less redundancy or less progress than asked for. */
  degraded: 1,
  /** Of `status`: nobody accepts writes. */
  unavailable: 2,
  /** An operation was refused, called off, or failed. */
  refused: 3,
  /** No answer could be had: no such cluster, no right, no API server. */
  error: 4,
  usage: 64,
} as const;
export type ExitCode = number;

/** The user's mistake: told without a stack, with a hint where help is. */
export class UsageError extends Error {}
