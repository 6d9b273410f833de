/** One listener as a fastify application: mounts the routes, and answers what no route takes as Kafka Connect does. */
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { basicAuth } from './basic-auth.ts';
import type { Listener, RestConfig } from './config.ts';
import { requestScope } from '../runtime/worker/request-scope.ts';
import { errorBody, httpError, HttpError } from './errors.ts';
import { crossOrigin, headerOf, headerRules } from './headers.ts';
import type { Answer, RestContext, Route } from './route.ts';
import { readTls } from './tls.ts';

/** In the order in which Connect lists them in `Allow`. */
const METHODS = ['DELETE', 'POST', 'PUT', 'PATCH', 'GET'] as const;
/** Clients that may be connected to one listener at a time; more wait or are refused by the system. */
const MOST_CONNECTIONS = 1_000;
/** How often requests are looked at that take too long to arrive, in milliseconds. */
const CHECK_MS = 1_000;

export interface ApplicationOptions { readonly context: RestContext; readonly config: RestConfig; readonly listener: Listener; readonly routes: readonly Route[]; readonly product: string }

/** Throws ConfigError TLS_UNREADABLE, REST_HEADERS. */
export function buildApplication({ context, config, listener, routes, product }: ApplicationOptions): FastifyInstance {
  const timeout = config['rest.request.timeout.ms'];
  const server = { connectionsCheckingInterval: CHECK_MS, headersTimeout: timeout, requestTimeout: timeout };
  const common = {
    bodyLimit: config['rest.request.max.bytes'], exposeHeadRoutes: false, forceCloseConnections: true, requestTimeout: timeout, clientErrorHandler,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 4_096 },
    frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply) => { void fail(context, reply, httpError(400)); },
  } as const;
  const app = (listener.secure ? fastify({ ...common, https: { ...readTls(config), ...server } }) : fastify({ ...common, http: server })) as FastifyInstance;
  app.server.maxConnections = MOST_CONNECTIONS;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body); });
  guard(app, { context, config, product });
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, _request, reply) => fail(context, reply, frameworkError(error, config)));
  app.setNotFoundHandler((_request, reply) => fail(context, reply, httpError(404)));
  mount(app, context, routes);
  return app;
}

/** What happens before any route: headers of every answer, cross-origin questions, who may ask at all. */
function guard(app: FastifyInstance, { context, config, product }: Pick<ApplicationOptions, 'context' | 'config' | 'product'>): void {
  const authorized = basicAuth(config['rest.basic.auth.user'], config['rest.basic.auth.password']);
  const cors = crossOrigin(config);
  const rules = headerRules(config['response.http.headers.config']);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('server', product);
    for (const rule of rules) if (rule.action.startsWith('set')) reply.header(rule.name, headerOf(rule)); else reply.raw.appendHeader(rule.name, headerOf(rule));
    const { origin, 'access-control-request-method': asked } = request.headers;
    if (cors.enabled && request.method === 'OPTIONS' && origin !== undefined && typeof asked === 'string') return reply.code(200).headers(cors.preflight(origin, asked)).send();
    reply.headers(cors.headers(origin));
    const path = request.url.split('?', 1)[0] ?? '';
    if (/%2f/i.test(path)) return fail(context, reply, new HttpError(400, 'Ambiguous URI path separator'));
    if (path !== '/health' && !authorized(request.headers.authorization)) {
      reply.header('www-authenticate', 'Basic realm="Tributary"');
      return fail(context, reply, httpError(401));
    }
    return undefined;
  });
}

/** What is no HTTP, or takes too long to become it, is answered by hand: there is no request object yet. */
function clientErrorHandler(error: Error & { readonly code?: string }, socket: Socket): void {
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  if (error.code === 'ECONNRESET' || !socket.writable) { socket.destroy(); return; }
  const body = JSON.stringify({ error_code: status, message: httpError(status).message });
  socket.end(`HTTP/1.1 ${status} ${httpError(status).message.slice('HTTP 000 '.length)}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}

/** Errors of the framework carry a status of the client's making (413, 400); everything else goes through as it is. */
function frameworkError(error: Error & { readonly statusCode?: number }, config: RestConfig): unknown {
  const { statusCode } = error;
  if (!('code' in error && String(error.code).startsWith('FST_')) || statusCode === undefined || statusCode >= 500) return error;
  return statusCode === 413 ? new HttpError(413, `The request body is larger than ${config['rest.request.max.bytes']} bytes (rest.request.max.bytes)`) : httpError(statusCode);
}

function mount(app: FastifyInstance, context: RestContext, routes: readonly Route[]): void {
  for (const path of new Set(routes.map(route => route.path))) {
    const here = routes.filter(route => route.path === path);
    const allowed = METHODS.filter(method => here.some(route => route.method === method));
    const allow = ['HEAD', ...allowed, 'OPTIONS'].filter(method => method !== 'HEAD' || allowed.includes('GET')).join(',');
    for (const route of here) app.route({ method: route.method === 'GET' ? ['GET', 'HEAD'] : route.method, url: path, handler: (request, reply) => serve(route, context, request, reply) });
    const refused = METHODS.filter(method => !allowed.includes(method));
    const methods = allowed.includes('GET') ? refused : [...refused, 'HEAD' as const];
    if (methods.length > 0) app.route({ method: methods, url: path, handler: (_request, reply) => { reply.header('allow', allow); return fail(context, reply, httpError(405)); } });
    app.route({ method: 'OPTIONS', url: path, handler: (_request, reply) => reply.code(200).header('allow', allow).header('content-type', 'application/json').send() });
  }
}

async function serve(route: Route, context: RestContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const gone = new AbortController();
  const leave = () => { if (!reply.raw.writableFinished) gone.abort(); };
  reply.raw.once('close', leave);
  try {
    const type = request.headers['content-type'];
    const body = typeof request.body === 'string' ? request.body : '';
    if (route.json === true && body !== '' && type !== undefined && !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type)) throw httpError(415);
    const query = new URLSearchParams(request.url.split('?')[1] ?? '');
    const header = (name: string): string | undefined => { const value = request.headers[name]; return typeof value === 'string' ? value : undefined; };
    const forward = query.get('forward');
    const scope = { forward: forward === null ? undefined : forward === 'true', authorization: header('authorization') };
    const answer = await requestScope.run(scope, async () => route.handle({ params: request.params as Record<string, string>, query, body, header, signal: gone.signal }, context));
    return await send(reply, answer);
  } catch (error) {
    return fail(context, reply, error);
  } finally {
    reply.raw.off('close', leave);
  }
}

function send(reply: FastifyReply, { status, body, text, headers = {} }: Answer): FastifyReply {
  reply.code(status).headers(headers);
  if (text !== undefined) return reply.send(Buffer.from(text));
  if (body === undefined) return reply.send();
  // As bytes, or the framework would add a charset, which Connect's answers do not have.
  return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify(body)));
}

function fail({ logger }: RestContext, reply: FastifyReply, error: unknown): FastifyReply {
  const body = errorBody(error);
  if (body.error_code >= 500 && !(error instanceof HttpError)) logger.error({ err: error }, 'rest request failed');
  return send(reply, { status: body.error_code, body });
}
