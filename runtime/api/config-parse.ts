/** Properties → typed configuration, with all problems at once, in Connect's words (ConfigDef and ConfigValue). */
import type { ConfigDef, ConfigOf, Option, ParseResult, Problem } from './config.ts';

export type Properties = Readonly<Record<string, string>>;

/** Keys that the worker itself reads from a connector's configuration. */
const WORKER_KEYS = /^(name|connector\.class|tasks\.max(\.enforce)?|key\.converter(\..*)?|value\.converter(\..*)?|header\.converter(\..*)?|transforms(\..*)?|predicates(\..*)?|errors\..*|topics|topics\.regex|config\.action\.reload|exactly\.once\.support|transaction\.boundary(\..*)?|offsets\.storage\.topic|(producer|consumer|admin)\.override\..*|topic\.creation\..*)$/;

/** Parses what `def` declares; never throws. */
export function parseConfig<D extends ConfigDef>(def: D, properties: Properties): ParseResult<ConfigOf<D>> {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  const claimed = new Set<string>();
  for (const [name, option] of Object.entries(def.options)) {
    const key = [name, ...option.aliases].find(candidate => properties[candidate] !== undefined) ?? name;
    claimed.add(key);
    values[name] = read(name, option, properties[key], problems, def.wording);
  }
  const extra: Record<string, string> = {};
  const unknown: { option: string; nearest: string | undefined }[] = [];
  const names = def.listed.flatMap(option => (properties[option] ?? '').split(',').map(name => name.trim()).filter(name => name !== ''));
  for (const [key, text] of Object.entries(properties)) {
    if (claimed.has(key)) continue;
    if (def.families.some(family => family.test(key)) || names.some(name => key.startsWith(`${name}.`))) extra[key] = text;
    else if (!WORKER_KEYS.test(key)) unknown.push({ option: key, nearest: nearest(key, Object.keys(def.options)) });
  }
  const config = values as ConfigOf<D>;
  // Debezium looks at options together even when one of them is wrong by itself, as long as each has some value.
  if (problems.length === 0 || (def.wording === 'debezium' && Object.entries(def.options).every(([name, option]) => !option.required || values[name] !== undefined))) {
    problems.push(...def.check(config, extra).filter(({ option }) => !claimedBy(problems, option)));
  }
  return { config: problems.length === 0 ? config : undefined, problems, unknown, extra };
}

function read(name: string, option: Option<unknown>, text: string | undefined, problems: Problem[], wording: ConfigDef['wording']): unknown {
  if (text === undefined) {
    if (option.required) problems.push({ option: name, message: wording === 'debezium' ? `The '${name}' value is invalid: A value is required` : `Missing required configuration "${name}" which has no default value.` });
    return option.fallback;
  }
  try { return option.parse(text); } catch (error) {
    const shown = option.type === 'PASSWORD' ? '[hidden]' : text;
    if (wording === 'debezium') problems.push(...debeziumProblems(name, option, (error as Error).message));
    else problems.push(...kafkaProblems(name, option, shown, (error as Error).message));
    if (wording === 'kafka') return undefined;
    return option.fallback ?? (option.type === 'STRING' ? text : undefined);
  }
}

function claimedBy(problems: readonly Problem[], option: string): boolean { return problems.some(problem => problem.option === option); }

function kafkaProblems(name: string, option: Option<unknown>, shown: string, message: string): Problem[] {
  const problem = { option: name, message: `Invalid value ${shown} for configuration ${name}: ${message.replace(/^Value must be one of /, 'String must be one of: ')}` };
  // What is no number is null to Kafka, which then complains of that as well where a number has bounds.
  return option.bounded && message.startsWith('Not a number of type') ? [problem, { option: name, message: `Invalid value null for configuration ${name}: Value must be non-null` }] : [problem];
}

function debeziumProblems(option: string, declared: Option<unknown>, message: string): Problem[] {
  const problem = { option, message: `The '${option}' value is invalid: ${debeziumWords(declared, message)}` };
  // Debezium checks an integer as its type and once more as its own rule, and reports both.
  return declared.type === 'INT' && message.startsWith('Not a number of type') ? [problem, problem] : [problem];
}

function debeziumWords(option: Option<unknown>, message: string): string {
  if (message.startsWith('Not a number of type')) return option.type === 'LONG' ? 'A long value is expected' : 'An integer is expected';
  return message === 'Expected value to be either true or false' ? "Either 'true' or 'false' is expected" : message;
}

/** The declared name nearest to a misspelt one, when it is near enough to be meant. */
export function nearest(key: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(key.length / 5)) + 1;
  for (const name of names) {
    const distance = editDistance(key, name, least);
    if (distance < least) { least = distance; best = name; }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? limit;
}

/** Properties whose keys begin with `prefix` and a dot, without both. */
export function propertiesUnder(prefix: string, properties: Properties): Record<string, string> {
  const start = `${prefix}.`;
  return Object.fromEntries(Object.entries(properties).flatMap(([key, value]) => (key.startsWith(start) ? [[key.slice(start.length), value]] : [])));
}
