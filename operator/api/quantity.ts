/** Kubernetes quantities such as "20Gi", "1500m" or "2e9". */

/** The form of a quantity, without sign (RE2, as the API server runs it too). */
export const quantityPattern = /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][0-9]+)?$/;

const factors: Readonly<Record<string, number>> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number that a quantity stands for (bytes, cores); undefined if it is none. Exact up to 2^53, enough to compare sizes. */
export function quantityValue(quantity: string | number): number | undefined {
  const text = String(quantity);
  if (!quantityPattern.test(text)) return undefined;
  const exponent = /[eE][0-9]+$/.exec(text);
  if (exponent) return Number(text);
  const unit = /[A-Za-z]*$/.exec(text)?.[0] ?? '';
  const factor = factors[unit];
  return factor === undefined ? undefined : Number(text.slice(0, text.length - unit.length)) * factor;
}

/** For people: `0 B`, `2.9 MiB`, `48 MiB`. */
export function bytesText(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1024 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1);
  const value = count / 1024 ** power;
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[power] ?? ''}`;
}

interface MemoryAmounts {
  readonly memory?: string | number | undefined;
}

/**
 * Bytes that a database sizes itself by: what its node has kept for it. A limit may be more than any node has; where it stands
 * alone, it is the request as well. Undefined: nobody knows what there is.
 */
export const memoryOf = (
  resources: { readonly requests?: MemoryAmounts | undefined; readonly limits?: MemoryAmounts | undefined } | undefined,
): number | undefined => {
  const given = resources?.requests?.memory ?? resources?.limits?.memory;
  return given === undefined ? undefined : quantityValue(given);
};
