/**
 * Errors → HTTP answers. The one table of status codes, and of what Kafka Connect's standalone worker answers for a
 * connector that does not exist, which differs from request to request (recorded from Connect 4.3.1).
 */
import { ConfigError, ConflictError, NotFoundError, TributaryError } from '../runtime/api/errors.ts';

/** An answer that a route has decided on already. */
export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
  }
}

export interface ErrorBody { readonly error_code: number; readonly message: string }

/** What a client sees of an error. Hints stand in messages that are ours; Connect's own stay as they are. */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof HttpError) return { error_code: error.status, message: error.message };
  if (error instanceof ConfigError) return { error_code: 400, message: error.message };
  if (error instanceof NotFoundError) return { error_code: 404, message: error.message };
  if (error instanceof ConflictError) return { error_code: 409, message: error.message };
  if (error instanceof TributaryError) return { error_code: 500, message: error.hint === undefined ? error.message : `${error.message}. ${error.hint}` };
  // A defect of ours: its text may hold anything, so it goes to the log and not over the wire.
  return { error_code: 500, message: 'Internal server error; the worker log has the details' };
}

/** JAX-RS wording for what no route takes. */
export const httpMessages: Readonly<Record<number, string>> = {
  400: 'HTTP 400 Bad Request', 401: 'HTTP 401 Unauthorized', 404: 'HTTP 404 Not Found', 405: 'HTTP 405 Method Not Allowed',
  408: 'HTTP 408 Request Timeout', 413: 'HTTP 413 Request Entity Too Large', 414: 'HTTP 414 Request-URI Too Long', 415: 'HTTP 415 Unsupported Media Type',
  431: 'HTTP 431 Request Header Fields Too Large',
};
export function httpError(status: number): HttpError { return new HttpError(status, httpMessages[status] ?? `HTTP ${status}`); }

/** Requests whose answer for an unknown connector is not `404 Connector NAME not found`. */
export const unknownConnector = {
  pause: (name: string) => new HttpError(404, `Unknown connector ${name}`),
  resume: (name: string) => new HttpError(404, `Unknown connector ${name}`),
  stop: (name: string) => new HttpError(500, `No connector \`${name}\` configured`),
  restart: () => new HttpError(500, 'Cannot invoke "java.util.Map.get(Object)" because "connProps" is null'),
  restartTask: (name: string, task: string) => new HttpError(500, `Failed to start task ${name}-${task} since it is not a recognizable type (source or sink)`),
} as const;
