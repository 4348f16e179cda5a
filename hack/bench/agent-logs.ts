/** What agents and writers have logged, read from the nodes' disks: nothing is asked of a machine that is being measured. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { layoutOf, nodes } from '../cluster/layout.ts';

export interface LogLine {
  /** Milliseconds since 1970, by the machine's clock, which is the same for all. */
  readonly at: number;
  readonly instance: string;
  readonly msg: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Of every instance in the namespace, old Pods and containers included, in order of time. */
export async function agentLogs(namespace: string, from: Date, to: Date): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  for (const node of nodes) {
    const root = path.join(layoutOf(node).disk, 'pod-logs');
    const pods = (await readdir(root).catch(() => [])).filter((pod) => pod.startsWith(`${namespace}_`));
    for (const pod of pods) {
      for (const whole of await logFiles(path.join(root, pod))) {
        if ((await stat(whole)).mtimeMs < from.getTime()) continue;
        for (const line of (await readFile(whole, 'utf8')).split('\n')) {
          const parsed = parseLine(line);
          if (parsed && parsed.at >= from.getTime() && parsed.at <= to.getTime()) lines.push(parsed);
        }
      }
    }
  }
  return lines.toSorted((a, b) => a.at - b.at);
}

async function logFiles(pod: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const container of ['postgres', 'mysql', 'writer'])
    for (const file of await readdir(path.join(pod, container)).catch(() => []))
      found.push(path.join(pod, container, file));
  return found;
}

/** A line of containerd's: time, stream, F, and what the agent wrote. */
function parseLine(line: string): LogLine | undefined {
  const json = line.indexOf('{');
  if (json < 0) return undefined;
  try {
    const { time, instance, component, msg, ...fields } = JSON.parse(line.slice(json)) as Readonly<
      Record<string, unknown>
    >;
    if (typeof time !== 'string' || typeof msg !== 'string') return undefined;
    return { at: Date.parse(time), instance: String(instance ?? component), msg, fields };
  } catch {
    // Cut off by a power-off.
    return undefined;
  }
}
