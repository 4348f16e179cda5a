import { MainstayError } from '../platform/errors.ts';

/** The parts of a `meta/v1 Status` that callers branch on. */
export interface ApiStatus {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly name?: string; readonly retryAfterSeconds?: number };
}

/** The API server answered, and the answer was no. */
export class KubernetesApiError extends MainstayError {
  /** HTTP status code. */
  readonly status: number;
  /** `Status.reason`: Conflict, AlreadyExists, Invalid, Expired, … ; empty when the answer was no Status. */
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
  /** Whether the answer names the very object asked for; a 404 without it means that the whole API path is unknown. */
  readonly namesObject: boolean;

  constructor(call: string, status: number, answer: ApiStatus, retryAfterSeconds?: number) {
    const reason = answer.reason ?? '';
    super('KubernetesApi', `${call}: ${String(status)} ${reason} ${answer.message ?? ''}`.trim(), {
      retryable: status === 429 || status >= 500 || status === 409,
    });
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds ?? answer.details?.retryAfterSeconds;
    this.namesObject = answer.details?.name !== undefined && answer.details.name !== '';
  }
}

/** No answer: refused, reset, timed out, or not authenticated for want of a readable token. A write may or may not have happened. */
export class KubernetesUnreachableError extends MainstayError {
  readonly status = undefined;
  readonly reason: 'Timeout' | 'Connection' | 'Credentials';

  constructor(call: string, reason: 'Timeout' | 'Connection' | 'Credentials', cause?: unknown) {
    const detail = cause instanceof Error ? `: ${cause.message}` : '';
    super('KubernetesUnreachable', `${call}: ${reason}${detail}`, { retryable: true, cause });
    this.reason = reason;
  }
}

/** The object was changed by another since it was read (409 Conflict): read again, decide again. */
export const isConflict = (error: unknown): boolean => hasReason(error, 'Conflict');
export const isAlreadyExists = (error: unknown): boolean => hasReason(error, 'AlreadyExists');
/** Refused by the schema or a validation rule (422); trying the same again is useless. */
export const isInvalid = (error: unknown): boolean => error instanceof KubernetesApiError && error.status === 422;
/** The object is not there; not: the API path is unknown. */
export const isNotFound = (error: unknown): boolean =>
  error instanceof KubernetesApiError && error.status === 404 && error.namesObject;
/** The resourceVersion is too old to continue from (410): list again. */
export const isGone = (error: unknown): boolean => error instanceof KubernetesApiError && error.status === 410;

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof KubernetesApiError && error.reason === reason;
}
