/** What may go wrong with the requests of an operator, and where each request is asked about it. */

/** When the operator dies, as seen from a write: never sent; carried out, unanswered; answered; or sent, and carried out long after. */
export type Death = 'before' | 'during' | 'after' | 'late';

export const refusals = {
  conflict: { status: 409, reason: 'Conflict' },
  gone: { status: 410, reason: 'Expired' },
  invalid: { status: 422, reason: 'Invalid' },
  throttled: { status: 429, reason: 'TooManyRequests' },
  broken: { status: 500, reason: 'InternalError' },
  unavailable: { status: 503, reason: 'ServiceUnavailable' },
} as const;
export type Refusal = keyof typeof refusals;

export type Fault =
  | { readonly kind: 'death'; readonly at: Death }
  | { readonly kind: 'refusal'; readonly as: Refusal }
  /** The connection is reset: before the request arrives, or after it has been carried out. */
  | { readonly kind: 'reset'; readonly carriedOut: boolean }
  /** No answer at all. */
  | { readonly kind: 'silence' };

export interface Asked {
  /** Same words for the same request, whoever sends it, as in `PATCH services/orders-rw` or `etcd definition`. */
  readonly what: string;
  readonly writes: boolean;
}

/** Decides the fault of one request; undefined: none. */
export type Plan = (asked: Asked) => Fault | undefined;

export const noFaults: Plan = () => undefined;

/** From the nth write on, one death at each. `met` says at which write the first was. */
export function fromWrite(
  number: number,
  each: readonly Death[],
): { readonly plan: Plan; readonly met: () => string | undefined } {
  let writes = 0;
  let met: string | undefined;
  return {
    met: () => met,
    plan: ({ what, writes: isWrite }) => {
      if (!isWrite) return undefined;
      writes += 1;
      const at = each[writes - number];
      if (at === undefined) return undefined;
      met ??= what;
      return { kind: 'death', at };
    },
  };
}

/** Every request meets the fault the first time it is made, reads too. */
export function firstTimes(fault: Fault): Plan {
  const seen = new Set<string>();
  return ({ what }) => {
    if (seen.has(what)) return undefined;
    seen.add(what);
    return fault;
  };
}
