/** Calls of etcd's JSON gateway: which member is asked, with which token, and how often. */
import type { z } from 'zod';

import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Deadline } from './dcs.ts';
import { within } from './deadline.ts';
import { askAny, askOne, askPatiently, createEndpoints, type Attempt } from './endpoints.ts';
import { secureContexts, type CredentialsSource } from './etcd-credentials.ts';
import { throwUnlessSuccess } from './etcd-errors.ts';
import { createLogin, type Login } from './etcd-login.ts';
import { AuthenticateReply } from './etcd-messages.ts';
import { httpPeer, type HttpPeer } from './http-exchange.ts';

export interface EtcdOptions {
  /** URLs of the members, http or https. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  /** None if absent. */
  readonly credentials?: CredentialsSource;
}

export interface EtcdConnection {
  readonly endpoints: ReturnType<typeof createEndpoints>;
  readonly login: Login;
  /** An idempotent call, at any member. */
  readonly query: <T extends z.ZodType>(
    path: string,
    body: object,
    Reply: T,
    deadline: Deadline,
  ) => Promise<z.output<T>>;
  /** A call that must not be carried out twice. Rejects with the raw error, which tells whether it was sent. */
  readonly command: <T extends z.ZodType>(
    path: string,
    body: object,
    Reply: T,
    deadline: Deadline,
  ) => Promise<z.output<T>>;
  readonly close: () => Promise<void>;
}

/** Throws ConfigurationInvalid where endpoints or credentials can't be used. */
export function connectEtcd(options: EtcdOptions): EtcdConnection {
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

  return {
    endpoints,
    login,
    query: (path, body, Reply, deadline) =>
      within(clock, deadline, (scope) =>
        login.authorized(scope, (token) => askAny(endpoints, clock, scope, call(path, body, Reply, token))),
      ),
    command: (path, body, Reply, deadline) =>
      within(clock, deadline, (scope) =>
        login.authorized(scope, (token) => askOne(endpoints, scope, call(path, body, Reply, token))),
      ),
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
