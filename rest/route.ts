/** A route as data: the server mounts it, answers OPTIONS and 405 from the list, and turns errors into answers. */
import type { Logger } from '../runtime/api/logger.ts';
import type { Herder } from '../runtime/worker/herder.ts';
import type { LogLevels } from '../runtime/worker/log-levels.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface RestContext {
  readonly herder: Herder;
  readonly logger: Logger;
  readonly levels: LogLevels;
  /** Scheme, host and port that others reach this listener by, for `Location`. */
  readonly baseUrl: string;
  /** Whether the topics of connectors are shown, and may be reset. */
  readonly topics: { readonly shown: boolean; readonly reset: boolean };
  /** Show passwords as `[hidden]`. */
  readonly maskPasswords: boolean;
}
export interface RestRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Raw text; empty when there was none. */
  readonly body: string;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}
/** `body` becomes JSON; `text` goes out as it is. Neither = an empty answer. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface Route {
  readonly method: Method;
  /** Parts that begin with a colon are parameters. */
  readonly path: string;
  /** What it does, for the reference page: query parameters, success code, what is special. */
  readonly doc: string;
  /** 415 unless the body is JSON. */
  readonly json?: boolean;
  handle(request: RestRequest, context: RestContext): Answer | Promise<Answer>;
}

export function ok(body: unknown): Answer { return { status: 200, body }; }
export function empty(status: 202 | 204): Answer { return { status }; }
/** A parameter that the path has. */
export function param(request: RestRequest, name: string): string {
  const value = request.params[name];
  if (value === undefined) throw new Error(`the route has no parameter ${name}`);
  return value;
}
