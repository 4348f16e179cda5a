/** The first row is the head. */
export function markdownTable(rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(head.map(() => '---')), ...body.map(line)];
}

/** Rounded up: nothing looks better than it was. */
export const inSeconds = (milliseconds: number): string => `${(Math.ceil(milliseconds / 10) / 100).toFixed(2)} s`;

/** The page with this text between its marks of that name; an error if it has no place for it. */
export function withBlock(page: string, name: string, text: string): string {
  const begin = `<!-- ${name}: written by make bench -->`;
  const end = `<!-- ${name}: end -->`;
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`no place for ${name}: ${begin} … ${end}`);
  return `${before}${begin}\n\n${text}\n\n${end}${after}`;
}
