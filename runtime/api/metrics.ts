/**
 * Numbers that a task reports about itself. Names are Prometheus style with their unit last
 * (`slot_retained_bytes`); the worker adds `tributary_` and the labels `connector` and `task`.
 */
export interface Metrics {
  /** A value that goes up and down. */
  set(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
  /** A counter. */
  add(name: string, delta: number, labels?: Readonly<Record<string, string>>): void;
}
