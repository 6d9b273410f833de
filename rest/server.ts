/** The REST listener: mounts the routes, and answers what no route takes as Kafka Connect does. */
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ConfigError } from '../runtime/api/errors.ts';
import type { Properties } from '../runtime/api/config-parse.ts';
import type { Logger } from '../runtime/api/logger.ts';
import type { Herder } from '../runtime/worker/herder.ts';
import type { WorkerConfig } from '../runtime/worker/worker-config.ts';
import { basicAuth } from './basic-auth.ts';
import { type Listener, readListeners, readRestConfig, type RestConfig } from './config.ts';
import { errorBody, httpError, HttpError } from './errors.ts';
import type { Answer, RestContext, Route } from './route.ts';
import { connectorRoutes } from './routes/connectors.ts';
import { metricRoutes } from './routes/metrics.ts';
import { offsetRoutes } from './routes/offsets.ts';
import { pluginRoutes } from './routes/plugins.ts';
import { rootRoutes } from './routes/root.ts';
import { taskRoutes } from './routes/tasks.ts';
import { topicRoutes } from './routes/topics.ts';
import { readTls } from './tls.ts';

const routes: readonly Route[] = [...rootRoutes, ...connectorRoutes, ...taskRoutes, ...offsetRoutes, ...topicRoutes, ...pluginRoutes, ...metricRoutes];
/** In the order in which Connect lists them in `Allow`. */
const METHODS = ['DELETE', 'POST', 'PUT', 'PATCH', 'GET'] as const;

export interface RestServer extends AsyncDisposable {
  /** An address that answers, that of `rest.advertised.listener` where there are several, and its port. */
  readonly url: string;
  readonly port: number;
  /** Addresses that answer, with their real ports, in the order of `listeners`. */
  readonly urls: readonly string[];
}
export interface RestOptions {
  readonly herder: Herder;
  readonly config: Pick<WorkerConfig, 'listeners' | 'rest.advertised.host.name' | 'rest.advertised.port'>;
  /** The worker file's text; what else of it concerns REST is declared in `config.ts`. */
  readonly properties: Properties;
  readonly logger: Logger;
  /** Our own version, for the `Server` header. */
  readonly version: string;
}

/** Listens on all of `listeners`. Throws ConfigError REST_CONFIG, LISTENER_INVALID, LISTENER_TLS, LISTENER_IN_USE, LISTENER_DENIED, LISTENER_HOST, TLS_UNREADABLE. */
export async function startRest({ herder, config: worker, properties, logger, version }: RestOptions): Promise<RestServer> {
  const config = readRestConfig(properties);
  const listeners = readListeners(worker.listeners, config);
  const advertised = { host: worker['rest.advertised.host.name'], port: worker['rest.advertised.port'] };
  const apps: FastifyInstance[] = [];
  const opened: { readonly listener: Listener; readonly url: string; readonly port: number }[] = [];
  try {
    for (const listener of listeners) {
      const context = { herder, logger, baseUrl: '', maskPasswords: config['rest.mask.passwords'] };
      const app = build(context, config, listener, `Tributary/${version}`);
      apps.push(app);
      const port = await listen(app, listener);
      context.baseUrl = urlOf(listener, advertised.host, advertised.port ?? port);
      opened.push({ listener, port, url: urlOf(listener, undefined, port) });
    }
  } catch (error) {
    await Promise.all(apps.map(app => app.close()));
    throw error;
  }
  const main = opened.find(({ listener }) => config['rest.advertised.listener'] === (listener.secure ? 'https' : 'http')) ?? opened[0];
  const urls = opened.map(({ url }) => url);
  logger.info({ urls }, 'rest listener is open');
  return { url: main?.url ?? '', port: main?.port ?? 0, urls, [Symbol.asyncDispose]: async () => { await Promise.all(apps.map(app => app.close())); } };
}

function urlOf({ secure, host }: Listener, name: string | undefined, port: number): string {
  const own = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `${secure ? 'https' : 'http'}://${name ?? (own.includes(':') ? `[${own}]` : own)}:${port}`;
}

async function listen(app: FastifyInstance, { host, port }: Listener): Promise<number> {
  try { await app.listen({ host, port }); } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const at = `${host}:${port}`;
    if (code === 'EADDRINUSE') throw new ConfigError(`The REST listener cannot open ${at}: the port is in use`, { code: 'LISTENER_IN_USE', hint: 'Choose another port in listeners, or stop what uses it.', cause: error });
    if (code === 'EACCES') throw new ConfigError(`The REST listener cannot open ${at}: permission denied`, { code: 'LISTENER_DENIED', hint: 'Choose a port above 1023 in listeners.', cause: error });
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') throw new ConfigError(`The REST listener cannot open ${at}: this machine has no such address`, { code: 'LISTENER_HOST', hint: 'Use 127.0.0.1, an address of this machine, or an empty host for all of them.', cause: error });
    throw error;
  }
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

function build(context: RestContext, config: RestConfig, listener: Listener, product: string): FastifyInstance {
  const common = {
    bodyLimit: config['rest.request.max.bytes'], exposeHeadRoutes: false, forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 4_096 },
    frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply) => { void fail(context, reply, httpError(400)); },
  } as const;
  const app = (listener.secure ? fastify({ ...common, https: readTls(config) }) : fastify(common)) as FastifyInstance;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body); });
  const authorized = basicAuth(config['rest.basic.auth.user'], config['rest.basic.auth.password']);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('server', product);
    if (/%2f/i.test(request.url.split('?', 1)[0] ?? '')) return fail(context, reply, new HttpError(400, 'Ambiguous URI path separator'));
    if (request.url.split('?', 1)[0] !== '/health' && !authorized(request.headers.authorization)) {
      reply.header('www-authenticate', 'Basic realm="Tributary"');
      return fail(context, reply, httpError(401));
    }
    return undefined;
  });
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, _request, reply) => fail(context, reply, frameworkError(error)));
  app.setNotFoundHandler((_request, reply) => fail(context, reply, httpError(404)));
  mount(app, context);
  return app;
}

/** Errors of the framework carry a status of the client's making (413, 400); everything else goes through as it is. */
function frameworkError(error: Error & { readonly statusCode?: number }): unknown {
  const { statusCode } = error;
  return 'code' in error && String(error.code).startsWith('FST_') && statusCode !== undefined && statusCode < 500 ? httpError(statusCode) : error;
}

function mount(app: FastifyInstance, context: RestContext): void {
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
    const answer = await route.handle({ params: request.params as Record<string, string>, query, body, signal: gone.signal }, context);
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
