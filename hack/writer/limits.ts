/** Milliseconds. */
export const connectMs = 1_000;
/** A write that a lost machine never answers must not be what the outage is made of. */
export const statementMs = 1_000;
/** Reading everything back takes longer than a write. */
export const readBackMs = 30_000;
