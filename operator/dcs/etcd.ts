/** etcd behind the Dcs interface, through its JSON gateway (docs/adr/0001-etcd-json-gateway.md). */
import type { z } from 'zod';

import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Dcs, Deadline, KeyValue, Snapshot } from './dcs.ts';
import { within, type Scope } from './deadline.ts';
import { askAny, askOne, createEndpoints, type Attempt } from './endpoints.ts';
import {
  asMainstayError,
  isAuthenticationDisabled,
  isCertainlyUnsent,
  isLeaseMissing,
  isRefusal,
  isTokenRefused,
  throwUnlessSuccess,
} from './etcd-errors.ts';
import {
  AnyReply,
  AuthenticateReply,
  LeaseGrantReply,
  LeaseKeepAliveReply,
  RangeReply,
  rangeOf,
  TxnReply,
  txnRequest,
} from './etcd-messages.ts';
import { watchEtcd } from './etcd-watch.ts';
import { httpPeer, type HttpPeer, type TlsOptions } from './http-exchange.ts';

export interface EtcdOptions {
  /** URLs of the members, http or https. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  readonly user?: string;
  readonly password?: string;
  readonly tls?: TlsOptions;
}

export function etcdDcs(options: EtcdOptions): Dcs {
  const { clock } = options;
  if (options.endpoints.length === 0) {
    throw new MainstayError('ConfigurationInvalid', 'No etcd endpoint is configured. Set MAINSTAY_ETCD_ENDPOINTS.');
  }
  const peers = options.endpoints.map((url) => httpPeer(url, { clock, ...(options.tls ? { tls: options.tls } : {}) }));
  const endpoints = createEndpoints(peers);
  /** undefined: not asked yet; '': etcd has authentication disabled. */
  let token: string | undefined;

  async function authenticate(scope: Scope): Promise<string> {
    const credentials = { name: options.user, password: options.password };
    try {
      const attempt = call('/v3/auth/authenticate', credentials, AuthenticateReply, undefined);
      return (await askAny(endpoints, clock, scope, attempt)).token;
    } catch (error) {
      // Credentials may be handed out before authentication is switched on; afterwards requests without a token are refused.
      if (isAuthenticationDisabled(error)) return '';
      throw error;
    }
  }

  /** Runs `act` with a token if there is a user, and once more with a new one if etcd refuses it (nothing was done then). */
  async function authorized<T>(scope: Scope, act: (token: string | undefined) => Promise<T>): Promise<T> {
    if (options.user === undefined) return act(undefined);
    const used = (token ??= await authenticate(scope));
    try {
      return await act(used);
    } catch (error) {
      if (!isTokenRefused(error)) throw error;
      if (token === used) token = await authenticate(scope);
      return act(token);
    }
  }

  /** An idempotent call, at any member. */
  function query<T extends z.ZodType>(path: string, body: object, Reply: T, deadline: Deadline): Promise<z.output<T>> {
    return within(clock, deadline, (scope) =>
      authorized(scope, (used) => askAny(endpoints, clock, scope, call(path, body, Reply, used))),
    );
  }

  /** A call that must not be carried out twice. Rejects with the raw error, which tells whether it was sent. */
  function command<T extends z.ZodType>(
    path: string,
    body: object,
    Reply: T,
    deadline: Deadline,
  ): Promise<z.output<T>> {
    return within(clock, deadline, (scope) =>
      authorized(scope, (used) => askOne(endpoints, scope, call(path, body, Reply, used))),
    );
  }

  return {
    read: async (prefix, deadline): Promise<Snapshot> => {
      const { header, kvs } = await query('/v3/kv/range', rangeOf(prefix), RangeReply, deadline);
      return {
        revision: header.revision,
        clusterId: header.cluster_id,
        entries: new Map(kvs.map((entry): [string, KeyValue] => [entry.key, entry])),
      };
    },

    txn: async (compare, writes, deadline) => {
      try {
        const { header, succeeded } = await command('/v3/kv/txn', txnRequest(compare, writes), TxnReply, deadline);
        return { outcome: succeeded ? 'applied' : 'refused', revision: header.revision };
      } catch (error) {
        const cause = asMainstayError(error);
        if (isRefusal(error) || isCertainlyUnsent(error)) throw cause;
        return { outcome: 'unknown', cause };
      }
    },

    watch: (prefix, fromRevision, signal) =>
      watchEtcd(endpoints, {
        prefix,
        fromRevision,
        signal,
        clock,
        token: async (milliseconds) => {
          if (options.user === undefined) return undefined;
          return (token ??= await within(clock, { milliseconds, signal }, authenticate));
        },
        forgetToken: () => {
          token = undefined;
        },
      }),

    grantLease: async (ttlSeconds, deadline) => {
      try {
        return (await command('/v3/lease/grant', { TTL: String(ttlSeconds) }, LeaseGrantReply, deadline)).ID;
      } catch (error) {
        throw asMainstayError(error);
      }
    },

    keepAliveOnce: async (lease, deadline) => {
      // A stream in gRPC; through the gateway each request gets its one reply line.
      return (await query('/v3/lease/keepalive', { ID: lease }, LeaseKeepAliveReply, deadline)).result.TTL;
    },

    revokeLease: async (lease, deadline) => {
      try {
        await command('/v3/lease/revoke', { ID: lease }, AnyReply, deadline);
      } catch (error) {
        // Expired meanwhile: what was wanted.
        if (isLeaseMissing(error)) return;
        throw asMainstayError(error);
      }
    },

    close: () => endpoints.close(),
  };
}

function call<T extends z.ZodType>(
  path: string,
  body: object,
  Reply: T,
  token: string | undefined,
): Attempt<z.output<T>> {
  return async (peer: HttpPeer, signal) => {
    const reply = await peer.ask({ path, body, token }, signal);
    throwUnlessSuccess(peer.url, reply);
    return Reply.parse(JSON.parse(reply.body));
  };
}
