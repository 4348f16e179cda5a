/** Availability over time as an SVG: for each contender the share of its runs in which writes were acknowledged. */
import { availability, labelOf, type Summary } from './summary.ts';

const width = 860;
const left = 64;
const right = 16;
const top = 44;
const rowHeight = 74;
const gap = 20;
const bottom = 44;
const colours = ['#0a7d4f', '#c2571a', '#5b4b9a', '#2b6cb0'] as const;

/** One row for each contender, the same scale of time for all: from a moment before the fault until all are back. */
export function availabilityPlot(title: string, summaries: readonly Summary[]): string {
  const longest = Math.max(
    1_000,
    ...summaries.flatMap(({ runs }) => runs.flatMap(({ gaps }) => gaps.map(([, to]) => to))),
  );
  const end = longest * 1.05;
  const begin = -end / 20;
  const x = (ms: number): number => left + ((ms - begin) / (end - begin)) * (width - left - right);
  const height = top + summaries.length * (rowHeight + gap) - gap + bottom;
  const rows = summaries.map((summary, index) => {
    const y = top + index * (rowHeight + gap);
    const level = (share: number): number => y + rowHeight * (1 - share);
    const points = [
      `${round(x(begin))},${round(level(1))}`,
      `${round(x(0))},${round(level(1))}`,
      ...availability(summary.runs).flatMap(({ ms, share }, step, all) => {
        const former = step === 0 ? 1 : (all[step - 1]?.share ?? 1);
        return [`${round(x(ms))},${round(level(former))}`, `${round(x(ms))},${round(level(share))}`];
      }),
    ];
    const last = availability(summary.runs).at(-1)?.share ?? 1;
    const line = [...points, `${round(x(end))},${round(level(last))}`].join(' ');
    const colour = colours[index % colours.length] ?? colours[0];
    const area = `${line} ${round(x(end))},${y + rowHeight} ${round(x(begin))},${y + rowHeight}`;
    return [
      `<text x="${left}" y="${y - 5}" fill="${colour}" font-weight="600">${escaped(labelOf(summary.contender))}, n = ${summary.runs.length}</text>`,
      `<polygon points="${area}" fill="${colour}" fill-opacity="0.18"/>`,
      `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
      `<line x1="${left}" y1="${y + rowHeight}" x2="${width - right}" y2="${y + rowHeight}" stroke="#888" stroke-width="0.5"/>`,
      `<text x="${left - 6}" y="${y + 10}" text-anchor="end" fill="#666">100 %</text>`,
      `<text x="${left - 6}" y="${y + rowHeight}" text-anchor="end" fill="#666">0</text>`,
    ];
  });
  const floor = height - bottom;
  const ticks = ticksUntil(end).flatMap((ms) => [
    `<line x1="${round(x(ms))}" y1="${top}" x2="${round(x(ms))}" y2="${floor + 4}" stroke="#888" stroke-width="0.4" stroke-dasharray="2 3"/>`,
    `<text x="${round(x(ms))}" y="${floor + 17}" text-anchor="middle" fill="#666">${ms / 1_000} s</text>`,
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="18" fill="#222" font-size="14">${escaped(title)}: share of runs in which writes are acknowledged</text>`,
    ...ticks,
    ...rows.flat(),
    `<text x="${round(x(0))}" y="${height - 10}" text-anchor="middle" fill="#666">the fault</text>`,
    '</svg>',
    '',
  ].join('\n');
}

/** At most ten, at round numbers of seconds. */
export function ticksUntil(end: number): readonly number[] {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].map((seconds) => seconds * 1_000);
  const step = steps.find((one) => end / one <= 10) ?? end;
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => Math.round(index * step));
}

const round = (value: number): number => Math.round(value * 10) / 10;
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
