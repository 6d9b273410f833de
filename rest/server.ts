/** The REST listeners: opens and closes them. */
import type { FastifyInstance } from 'fastify';
import { ConfigError } from '../runtime/api/errors.ts';
import type { Properties } from '../runtime/api/config-parse.ts';
import type { Logger } from '../runtime/api/logger.ts';
import type { Herder } from '../runtime/worker/herder.ts';
import type { LogLevels } from '../runtime/worker/log-levels.ts';
import type { WorkerConfig } from '../runtime/worker/worker-config.ts';
import { buildApplication } from './application.ts';
import { type Listener, readListeners, readRestConfig } from './config.ts';
import type { Route } from './route.ts';
import { adminRoutes, mainRoutes } from './routes.ts';

export interface RestServer extends AsyncDisposable {
  /** An address that answers, that of `rest.advertised.listener` where there are several, and its port. */
  readonly url: string;
  readonly port: number;
  /** Addresses that answer, with their real ports, in the order of `listeners`. */
  readonly urls: readonly string[];
  /** Addresses of `admin.listeners`; empty where /admin answers on the others, or nowhere. */
  readonly adminUrls: readonly string[];
}
export interface RestOptions {
  readonly herder: Herder;
  readonly config: Pick<WorkerConfig, 'listeners' | 'rest.advertised.host.name' | 'rest.advertised.port'> & Partial<Pick<WorkerConfig, 'topic.tracking.enable' | 'topic.tracking.allow.reset'>>;
  /** The worker file's text; what else of it concerns REST is declared in `config.ts`. */
  readonly properties: Properties;
  readonly logger: Logger;
  /** What `/admin/loggers` shows and changes. */
  readonly levels: LogLevels;
  /** Our own version, for the `Server` header. */
  readonly version: string;
}
interface Opened { readonly listener: Listener; readonly url: string; readonly port: number }

/** Listens on all of `listeners`. Throws ConfigError REST_CONFIG, REST_HEADERS, LISTENER_INVALID, LISTENER_TLS, LISTENER_IN_USE, LISTENER_DENIED, LISTENER_HOST, TLS_UNREADABLE. */
export async function startRest({ herder, config: worker, properties, logger, levels, version }: RestOptions): Promise<RestServer> {
  const config = readRestConfig(properties);
  const admin = config['admin.listeners'];
  const advertised = { host: worker['rest.advertised.host.name'], port: worker['rest.advertised.port'] };
  const apps: FastifyInstance[] = [];
  const open = async (listeners: readonly Listener[], routes: readonly Route[]): Promise<Opened[]> => {
    const opened: Opened[] = [];
    for (const listener of listeners) {
      const context = { herder, logger, levels, baseUrl: '', maskPasswords: config['rest.mask.passwords'], topics: { shown: worker['topic.tracking.enable'] ?? true, reset: worker['topic.tracking.allow.reset'] ?? true } };
      const app = buildApplication({ context, config, listener, routes, product: `Tributary/${version}` });
      apps.push(app);
      const port = await listen(app, listener);
      context.baseUrl = urlOf(listener, advertised.host, advertised.port ?? port);
      opened.push({ listener, port, url: urlOf(listener, undefined, port) });
    }
    return opened;
  };
  const close = async (): Promise<void> => { await Promise.all(apps.map(app => app.close())); };
  try {
    const opened = await open(readListeners('listeners', worker.listeners, config), admin === undefined ? [...mainRoutes, ...adminRoutes] : mainRoutes);
    const apart = await open(readListeners('admin.listeners', admin ?? [], config), adminRoutes);
    const main = opened.find(({ listener }) => config['rest.advertised.listener'] === (listener.secure ? 'https' : 'http')) ?? opened[0];
    const [urls, adminUrls] = [opened.map(({ url }) => url), apart.map(({ url }) => url)];
    logger.info({ urls, ...(apart.length === 0 ? {} : { adminUrls }) }, 'rest listener is open');
    return { url: main?.url ?? '', port: main?.port ?? 0, urls, adminUrls, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
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
