// What is being done, how long it has taken, what came out.
import process from 'node:process';

const reminderSeconds = 15;

export interface Progress {
  readonly step: <T>(what: string, work: () => Promise<T>) => Promise<T>;
  readonly say: (what: string) => void;
}

export function progress(subject: string): Progress {
  const say = (what: string): void => void process.stderr.write(`${subject.padEnd(9)} ${what}\n`);
  return {
    say,
    step: async (what, work) => {
      const start = performance.now();
      const elapsed = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;
      say(`${what} …`);
      const reminder = setInterval(() => {
        say(`${what} … ${elapsed()}`);
      }, reminderSeconds * 1000);
      try {
        const result = await work();
        say(`${what}: ${elapsed()}`);
        return result;
      } finally {
        clearInterval(reminder);
      }
    },
  };
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
