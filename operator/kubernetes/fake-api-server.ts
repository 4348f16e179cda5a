import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ClusterAccess } from './access.ts';

/** What goes wrong with one request instead of an answer. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly reason?: string; readonly retryAfterSeconds?: number }
  | { readonly kind: 'page'; readonly status: number; readonly text: string }
  /** Accepts, and never says a word. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  /** A watch that opens and answers with one ERROR event. */
  | { readonly kind: 'error-event'; readonly status: number; readonly reason: string };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly watch: boolean;
}

interface StoredObject {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}
interface Place {
  readonly group: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
}
interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly place: Place;
  readonly object: StoredObject;
}
interface OpenWatch {
  readonly place: Place;
  readonly response: ServerResponse;
}

export interface FakeApiServer {
  readonly access: ClusterAccess;
  /** TCP connections accepted since the start. */
  readonly connections: number;
  readonly requests: readonly SeenRequest[];
  readonly openWatches: number;
  readonly version: string;
  /** Creates or replaces at `/api/v1/namespaces/a/pods/x`, as somebody else would. */
  put(path: string, object?: object): StoredObject;
  remove(path: string): void;
  object(path: string): StoredObject | undefined;
  /** Decides the fault of each request to come; undefined = none. */
  fail(decide: ((request: SeenRequest) => Fault | undefined) | undefined): void;
  resetWatches(): void;
  endWatches(): void;
  bookmark(): void;
  /** Forgets history: watches from before now are answered 410. */
  compact(): void;
  close(): Promise<void>;
}

/** As much of an API server as a client can be unhappy about: state with versions, pages, watches, and faults on demand. */
export async function startFakeApiServer(): Promise<FakeApiServer> {
  const objects = new Map<string, StoredObject>();
  const history: Change[] = [];
  const requests: SeenRequest[] = [];
  const watches = new Set<OpenWatch>();
  const sockets = new Set<Socket>();
  let version = 100;
  let oldest = 100;
  let connections = 0;
  let decide: ((request: SeenRequest) => Fault | undefined) | undefined;

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    const { method = 'GET', headers } = request;
    const query = url.searchParams;
    const seen = { method, path: url.pathname, query, headers, watch: query.get('watch') === 'true' };
    requests.push(seen);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const fault = decide?.(seen);
      if (fault === undefined) answer(seen, Buffer.concat(parts).toString('utf8'), response);
      else spoil(fault, request, response);
    });
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    access: {
      server: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
      namespace: 'default',
      credentials: () => Promise.resolve({ token: 'secret' }),
    },
    get connections() {
      return connections;
    },
    requests,
    get openWatches() {
      return watches.size;
    },
    get version() {
      return String(version);
    },
    put(path, object = {}) {
      return store(path, object);
    },
    remove: erase,
    object: (path) => objects.get(path),
    fail(decision) {
      decide = decision;
    },
    resetWatches() {
      for (const { response } of watches) response.socket?.resetAndDestroy();
    },
    endWatches() {
      for (const { response } of watches) response.end();
    },
    bookmark() {
      version += 1;
      for (const watch of watches) {
        send(watch, 'BOOKMARK', { metadata: { resourceVersion: String(version) } });
      }
    },
    compact() {
      version += 1;
      oldest = version;
      history.length = 0;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function spoil(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
    switch (fault.kind) {
      case 'silence':
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'page':
        response.writeHead(fault.status).end(fault.text);
        return;
      case 'error-event':
        response.writeHead(200);
        response.end(`${JSON.stringify({ type: 'ERROR', object: status(fault.status, fault.reason) })}\n`);
        return;
      case 'status':
        if (fault.retryAfterSeconds !== undefined) response.setHeader('retry-after', fault.retryAfterSeconds);
        reply(response, fault.status, status(fault.status, fault.reason ?? 'InternalError'));
    }
  }

  function answer(request: SeenRequest, text: string, response: ServerResponse): void {
    const place = placeOf(request.path);
    if (place === undefined) {
      response.writeHead(404).end('404 page not found');
      return;
    }
    const path = request.path.replace(/\/(status|scale)$/, '');
    const stored = objects.get(path);
    const body = text === '' ? {} : (JSON.parse(text) as StoredObject);
    const notFound = (): void => reply(response, 404, status(404, 'NotFound', place.name));
    switch (request.method) {
      case 'GET':
        if (request.watch) watch(request, place, response);
        else if (place.name === undefined) list(request, place, response);
        else if (stored === undefined) notFound();
        else reply(response, 200, stored);
        return;
      case 'POST': {
        const target = `${path}/${(body as StoredObject).metadata.name}`;
        if (objects.has(target)) reply(response, 409, status(409, 'AlreadyExists', place.name));
        else reply(response, 201, store(target, body));
        return;
      }
      case 'PUT':
        if (stored === undefined) notFound();
        else if ((body as StoredObject).metadata.resourceVersion !== stored.metadata.resourceVersion) {
          reply(response, 409, status(409, 'Conflict', place.name));
        } else reply(response, 200, store(path, body));
        return;
      case 'PATCH':
        if (stored === undefined && !(request.headers['content-type'] ?? '').includes('apply')) notFound();
        else reply(response, stored === undefined ? 201 : 200, store(path, merge(stored ?? {}, body) as object));
        return;
      default:
        if (stored === undefined) notFound();
        else {
          erase(path);
          reply(response, 200, { kind: 'Status', status: 'Success' });
        }
    }
  }

  function list(request: SeenRequest, place: Place, response: ServerResponse): void {
    const selected = [...objects].filter(([path, object]) => selects(place, request, placeOf(path), object));
    const offset = Number(request.query.get('continue') ?? '0');
    const limit = Number(request.query.get('limit') ?? selected.length);
    const next = offset + limit < selected.length ? String(offset + limit) : '';
    // As the real one does, without the type of each item.
    const items = selected
      .slice(offset, offset + limit)
      .map(([, object]) => ({ ...object, apiVersion: undefined, kind: undefined }));
    reply(response, 200, { metadata: { resourceVersion: String(version), continue: next }, items });
  }

  function watch(request: SeenRequest, place: Place, response: ServerResponse): void {
    const from = Number(request.query.get('resourceVersion'));
    if (from < oldest) {
      reply(response, 410, status(410, 'Expired'));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const opened = { place, response };
    for (const change of history) {
      if (change.version > from && selects(place, request, change.place, change.object)) {
        send(opened, change.type, change.object);
      }
    }
    watches.add(opened);
    response.on('close', () => watches.delete(opened));
  }

  function store(path: string, object: object): StoredObject {
    const place = placeOf(path);
    if (place?.name === undefined) throw new Error(`${path} names no object`);
    version += 1;
    const given = object as Partial<StoredObject>;
    const stored: StoredObject = {
      ...given,
      metadata: {
        ...given.metadata,
        name: place.name,
        ...(place.namespace === undefined ? {} : { namespace: place.namespace }),
        resourceVersion: String(version),
      },
    };
    const type = objects.has(path) ? 'MODIFIED' : 'ADDED';
    objects.set(path, stored);
    announce({ version, type, place, object: stored });
    return stored;
  }

  function erase(path: string): void {
    const stored = objects.get(path);
    const place = placeOf(path);
    if (stored === undefined || place === undefined) return;
    objects.delete(path);
    version += 1;
    const last = { ...stored, metadata: { ...stored.metadata, resourceVersion: String(version) } };
    announce({ version, type: 'DELETED', place, object: last });
  }

  function announce(change: Change): void {
    history.push(change);
    for (const opened of watches) {
      if (covers(opened.place, change.place)) send(opened, change.type, change.object);
    }
  }

  function send(watch: OpenWatch, type: string, object: object): void {
    watch.response.write(`${JSON.stringify({ type, object })}\n`);
  }
}

function placeOf(path: string): Place | undefined {
  const match =
    /^\/(api\/v1|apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/(?:status|scale))?$/.exec(
      path,
    );
  const [, group, namespace, plural, name] = match ?? [];
  return group === undefined || plural === undefined ? undefined : { group, namespace, plural, name };
}

function covers(collection: Place, place: Place | undefined): boolean {
  return (
    place?.group === collection.group &&
    place.plural === collection.plural &&
    (collection.namespace === undefined || collection.namespace === place.namespace)
  );
}

function selects(collection: Place, request: SeenRequest, place: Place | undefined, object: StoredObject): boolean {
  const wanted = (request.query.get('labelSelector') ?? '').split(',').filter((term) => term !== '');
  return (
    covers(collection, place) &&
    wanted.every((term) => {
      const [label = '', value] = term.split('=');
      return object.metadata.labels?.[label] === value;
    })
  );
}

function status(code: number, reason: string, name?: string): object {
  return { kind: 'Status', apiVersion: 'v1', code, reason, message: `fake ${reason}`, details: { name } };
}

function reply(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = { ...(target as object) };
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, field);
    else result[field] = merge(result[field], value);
  }
  return result;
}
