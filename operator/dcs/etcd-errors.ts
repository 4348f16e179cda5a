/** Which answers of etcd mean "certainly not done", and which leave it open. */
import { MainstayError } from '../platform/errors.ts';
import { StatusReply } from './etcd-messages.ts';
import { ExchangeBroken, type HttpReply } from './http-exchange.ts';

/** An error status from etcd; `code` is gRPC's. */
export class EtcdStatus extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'EtcdStatus';
    this.code = code;
  }
}

/** The call itself was never sent, or what was sent of it was refused for its token. */
export class LoginFailed extends MainstayError {
  constructor(cause: MainstayError) {
    super(cause.code, `Login failed. ${cause.message}`, { retryable: cause.retryable, cause });
  }
}

const invalidArgument = 3;
const notFound = 5;
const unauthenticated = 16;

/**
 * Codes with which etcd refuses a request before it is proposed, or as a whole when it is applied: InvalidArgument (also
 * "request is too large"), NotFound (lease), AlreadyExists, PermissionDenied, ResourceExhausted (no space, too many
 * requests), FailedPrecondition, OutOfRange (compacted), Unimplemented, Unauthenticated. All others (Unavailable: timed
 * out, no leader, leader changed, stopped; Internal; Unknown …) may come after the proposal, which may still be applied.
 */
const refusals: ReadonlySet<number> = new Set([invalidArgument, notFound, 6, 7, 8, 9, 11, 12, unauthenticated]);

/** Throws what an unsuccessful reply means. */
export function throwUnlessSuccess(url: string, reply: HttpReply): void {
  if (reply.status === 200 && !reply.body.startsWith('{"error"')) return;
  throw statusError(url, parseStatus(reply));
}

export function statusError(url: string, status: EtcdStatus): MainstayError {
  return refusals.has(status.code)
    ? new MainstayError('DcsRejected', `etcd at ${url} refused: ${status.message}`, { cause: status })
    : new MainstayError('DcsUnreachable', `etcd at ${url} failed: ${status.message}`, {
        retryable: true,
        cause: status,
      });
}

/** Everything that a call can end with, as one of our own errors. */
export function asMainstayError(error: unknown): MainstayError {
  if (error instanceof MainstayError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MainstayError('DcsUnreachable', `No answer from etcd: ${message}`, { retryable: true, cause: error });
}

export function isRefusal(error: unknown): boolean {
  return error instanceof MainstayError && error.code === 'DcsRejected';
}

export function isCertainlyUnsent(error: unknown): boolean {
  return error instanceof LoginFailed || (error instanceof ExchangeBroken && !error.sent);
}

export function isLeaseMissing(error: unknown): boolean {
  return statusOf(error)?.code === notFound;
}

/** The token expired, its member forgot it, permissions changed since it was issued, or authentication was just enabled. */
export function isTokenRefused(error: unknown): boolean {
  const status = statusOf(error);
  if (!status) return false;
  return status.code === unauthenticated || /revision of auth store is old|user name is empty/.test(status.message);
}

export function isAuthenticationDisabled(error: unknown): boolean {
  return statusOf(error)?.message.includes('authentication is not enabled') ?? false;
}

function statusOf(error: unknown): EtcdStatus | undefined {
  return error instanceof MainstayError && error.cause instanceof EtcdStatus ? error.cause : undefined;
}

const unknownCode = 2;
const failedPrecondition = 9;
const commonNameRemedy =
  'while logins are on, its gateway takes no client certificate with a common name. Issue one without (CN) for Mainstay.';

function parseStatus(reply: HttpReply): EtcdStatus {
  try {
    const { code, message } = StatusReply.parse(JSON.parse(reply.body));
    return new EtcdStatus(code, message);
  } catch {
    if (reply.body.startsWith('CommonName of client')) return new EtcdStatus(failedPrecondition, commonNameRemedy);
    // Not etcd's own words (a proxy's?): they promise nothing, and may repeat what was sent, a password for example.
    return new EtcdStatus(unknownCode, `HTTP ${reply.status}, not in the words of etcd`);
  }
}
