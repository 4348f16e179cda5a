/** What the demo tells: one line per event, with the time since it began. */
export interface Story {
  /** Something that people should read. */
  readonly tell: (line: string) => void;
  /** What goes on meanwhile, dimmed. */
  readonly detail: (line: string) => void;
  readonly heading: (line: string) => void;
}

export function createStory(write: (text: string) => void, colours: boolean): Story {
  const start = performance.now();
  const stamp = (): string => `${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  `;
  const paint = (code: number, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    tell: (line) => write(`${stamp()}${line}\n`),
    detail: (line) => write(paint(2, `${stamp()}  ${line}`) + '\n'),
    heading: (line) => write(`\n${paint(1, line)}\n`),
  };
}

export function secondsOf(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}

/** Time of day with milliseconds: what the writer's clock said. */
export function clockTime(iso: string): string {
  return iso.slice(11, 23);
}
