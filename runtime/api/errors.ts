/**
 * The class says what to do, the code says what happened (docs/architecture.md, "Errors").
 * Messages never contain row values, keys or secrets.
 */
export interface ErrorFacts {
  /** Stable upper-snake identifier, listed beside its owner. */
  readonly code: string;
  /** What a person can do about it, one sentence; a statement to paste where there is one. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export abstract class TributaryError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.hint = facts.hint;
  }
}

/** The configuration is wrong: REST answers 400. */
export class ConfigError extends TributaryError {}
/** No such connector, task, plugin or topic: REST answers 404. */
export class NotFoundError extends TributaryError {}
/** It contradicts the present state: REST answers 409. */
export class ConflictError extends TributaryError {}
/** Passing trouble: back off and try again (database down, network cut, disk full). */
export class RetriableError extends TributaryError {}
/** One record is bad: `errors.tolerance` decides, dead letters where configured. */
export class DataError extends TributaryError {}
/** A person must act: the task becomes FAILED. The hint is required. */
export class FatalError extends TributaryError {
  constructor(message: string, facts: ErrorFacts & { readonly hint: string }) { super(message, facts); }
}
