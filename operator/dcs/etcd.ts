/** etcd behind the Dcs interface, through its JSON gateway (docs/adr/0001-etcd-json-gateway.md). */
import type { z } from 'zod';

import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Dcs, Deadline, KeyValue, Snapshot } from './dcs.ts';
import { within } from './deadline.ts';
import { askAny, askOne, askPatiently, createEndpoints, type Attempt } from './endpoints.ts';
import { secureContexts, type CredentialsSource } from './etcd-credentials.ts';
import { asMainstayError, isCertainlyUnsent, isLeaseMissing, isRefusal, throwUnlessSuccess } from './etcd-errors.ts';
import { createLogin } from './etcd-login.ts';
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
import { httpPeer, type HttpPeer } from './http-exchange.ts';

export interface EtcdOptions {
  /** URLs of the members, http or https. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  /** None if absent. */
  readonly credentials?: CredentialsSource;
}

/** Throws ConfigurationInvalid where endpoints or credentials can't be used. */
export function etcdDcs(options: EtcdOptions): Dcs {
  const { clock, credentials = () => ({}) } = options;
  if (options.endpoints.length === 0) {
    throw new MainstayError('ConfigurationInvalid', 'No etcd endpoint is configured. Set MAINSTAY_ETCD_ENDPOINTS.');
  }
  const secureContext = secureContexts(credentials);
  secureContext();
  const peers = options.endpoints.map((url) => httpPeer(url, { clock, secureContext }));
  const endpoints = createEndpoints(peers);
  const login = createLogin({
    clock,
    credentials,
    authenticate: async (name, password, signal) => {
      const attempt = call('/v3/auth/authenticate', { name, password }, AuthenticateReply, undefined);
      return (await askPatiently(endpoints, clock, signal, attempt)).token;
    },
  });

  /** An idempotent call, at any member. */
  function query<T extends z.ZodType>(path: string, body: object, Reply: T, deadline: Deadline): Promise<z.output<T>> {
    return within(clock, deadline, (scope) =>
      login.authorized(scope, (token) => askAny(endpoints, clock, scope, call(path, body, Reply, token))),
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
      login.authorized(scope, (token) => askOne(endpoints, scope, call(path, body, Reply, token))),
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

    watch: (prefix, fromRevision, signal) => watchEtcd(endpoints, { prefix, fromRevision, signal, clock, login }),

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

    close: () => {
      login.close();
      return endpoints.close();
    },
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
    return readAs(Reply, reply.body);
  };
}

/** The parser's own error would quote the reply, which may be a token. */
function readAs<T extends z.ZodType>(Reply: T, body: string): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Error('the reply is not JSON');
  }
  return Reply.parse(value);
}
