/**
 * What a worker can be given to run: a connector (its steering) or one of its tasks. Both are one string, so that sets
 * of them are plain sets: connector name, NUL, task number; -1 is the connector itself, as in Connect's group protocol.
 */
export type Work = string & { readonly work: unique symbol };

export const CONNECTOR_ITSELF = -1;

export function workOf(connector: string, task: number): Work { return `${connector}\u0000${task}` as Work; }
export function connectorOf(work: Work): string { return work.slice(0, work.indexOf('\u0000')); }
/** The task's number; -1 for the connector itself. */
export function taskOf(work: Work): number { return Number(work.slice(work.indexOf('\u0000') + 1)); }
export function isTask(work: Work): boolean { return taskOf(work) !== CONNECTOR_ITSELF; }

/** By connector, the connector itself before its tasks. */
export function compareWork(a: Work, b: Work): number {
  const left = connectorOf(a), right = connectorOf(b);
  return left === right ? taskOf(a) - taskOf(b) : left < right ? -1 : 1;
}
