/** Tokens for a user and password. etcd's simple tokens end after 5 unused minutes at each member, and with its restart. */
import { isDeepStrictEqual } from 'node:util';

import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { CredentialsSource } from './etcd-credentials.ts';
import type { Scope } from './deadline.ts';
import { asMainstayError, isAuthenticationDisabled, isRefusal, isTokenRefused, LoginFailed } from './etcd-errors.ts';

export interface Login {
  /**
   * Runs `act` with a token if there is a user, and once more with a new one if etcd refuses it (nothing was done then).
   * Throws LoginFailed where `act` was not run, or what it did was refused.
   */
  authorized<T>(scope: Scope, act: (token: string | undefined) => Promise<T>): Promise<T>;
  close(): void;
}

export interface LoginOptions {
  readonly clock: Clock;
  readonly credentials: CredentialsSource;
  /** Asks for a token until there is an answer. */
  readonly authenticate: (name: string, password: string, signal: AbortSignal) => Promise<string>;
}

/** A password that was just refused is not offered again before this. */
const refusalMilliseconds = 1_000;

/** `token` is undefined without a user, and where etcd has authentication disabled. */
interface Session {
  readonly token: string | undefined;
}

export function createLogin(options: LoginOptions): Login {
  const { clock } = options;
  const closing = new AbortController();
  let session: Session | undefined;
  let underWay: Promise<Session> | undefined;
  let refused: { readonly of: readonly string[]; readonly at: number; readonly error: unknown } | undefined;

  async function logIn(): Promise<Session> {
    const { username, password = '' } = options.credentials();
    if (username === undefined) return { token: undefined };
    const pair = [username, password];
    if (isDeepStrictEqual(refused?.of, pair) && clock.now() - (refused?.at ?? 0) < refusalMilliseconds) {
      throw refused?.error;
    }
    try {
      return { token: await options.authenticate(username, password, closing.signal) };
    } catch (error) {
      // Credentials may be handed out before authentication is switched on; from then on calls without a token are refused.
      if (isAuthenticationDisabled(error)) return { token: undefined };
      if (isRefusal(error)) refused = { of: pair, at: clock.now(), error };
      throw error;
    }
  }

  /** One login serves all that wait for it, and goes on when their time is up. */
  function shared(): Promise<Session> {
    underWay ??= logIn().then(
      (fresh) => {
        underWay = undefined;
        return (session = fresh);
      },
      (error: unknown) => {
        underWay = undefined;
        throw error;
      },
    );
    return underWay;
  }

  async function sessionWithin(scope: Scope): Promise<Session> {
    try {
      return session ?? (await unlessAborted(shared(), scope.signal));
    } catch (error) {
      throw new LoginFailed(asMainstayError(error));
    }
  }

  return {
    authorized: async (scope, act) => {
      const used = await sessionWithin(scope);
      try {
        return await act(used.token);
      } catch (error) {
        if (!isTokenRefused(error)) throw error;
        if (session === used) session = undefined;
        const fresh = await sessionWithin(scope);
        if (fresh.token === undefined && used.token === undefined) throw error;
        return act(fresh.token);
      }
    },
    close: () => closing.abort(new MainstayError('DcsUnreachable', 'The client of etcd is closed.')),
  };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}
