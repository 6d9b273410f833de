/**
 * A plugin declares its configuration once; types, parsing, defaults, `config/validate`, reference pages and masking
 * come from that declaration. Keys are the Debezium / Kafka names, dots and all.
 *
 * Types, messages and the parse rules follow Kafka's `org.apache.kafka.common.config.ConfigDef`.
 */
export type OptionType = 'STRING' | 'INT' | 'LONG' | 'SHORT' | 'DOUBLE' | 'BOOLEAN' | 'LIST' | 'PASSWORD' | 'CLASS';

/** One declared option. `T` is the parsed type. */
export interface Option<T> {
  readonly type: OptionType;
  /** Text → value; throws `Error` with Connect's own wording of what is wrong (without the key). */
  readonly parse: (text: string) => T;
  readonly required: boolean;
  /** Whether a rule of its own holds for the value. */
  readonly bounded: boolean;
  readonly fallback: T | undefined;
  /** Default as `/validate` shows it; null when there is none. */
  readonly defaultText: string | null;
  readonly doc: string;
  /** Heading under which it is shown; empty for none. */
  readonly group: string;
  readonly importance: 'HIGH' | 'MEDIUM' | 'LOW';
  readonly displayName: string | undefined;
  readonly width: 'NONE' | 'SHORT' | 'MEDIUM' | 'LONG';
  readonly choices: readonly string[] | undefined;
  readonly aliases: readonly string[];
  readonly dependents: readonly string[];
  /** Accepted, but absent from `/validate` and the reference page. */
  readonly hidden: boolean;
}

export type Options = Readonly<Record<string, Option<unknown>>>;
export type Parsed<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

/** Something wrong with one option, worded for a person. */
export interface Problem {
  readonly option: string;
  readonly message: string;
  /** Found on the live system, and shown by validation alone: a connector may be made all the same, its task tells then. */
  readonly later?: boolean;
}

export interface ConfigDef<O extends Options = Options> {
  readonly options: O;
  /** Rules over several options; runs when every option parsed; with `wording: 'debezium'` also when some did not: those have their default, or their text. */
  check(config: Parsed<O>, extra: Readonly<Record<string, string>>): readonly Problem[];
  /** Keys outside `options` that are meant (families such as `column.mask.with.12.chars`); they are passed through in {@link ParseResult.extra}. */
  readonly families: readonly RegExp[];
  /** Options that list names: keys that begin with a listed name and a dot are a family too. */
  readonly listed: readonly string[];
  /** Whose words problems of single options take: Kafka's own, or Debezium's. */
  readonly wording: 'kafka' | 'debezium';
}
export type ConfigOf<D extends ConfigDef> = Parsed<D['options']>;

export interface ParseResult<C> {
  /** Present when there is no problem. */
  readonly config: C | undefined;
  readonly problems: readonly Problem[];
  /** Keys that nobody declared, with the nearest declared name where one is near. */
  readonly unknown: readonly { readonly option: string; readonly nearest: string | undefined }[];
  /** Keys that matched a family. */
  readonly extra: Readonly<Record<string, string>>;
}

export function defineConfig<const O extends Options>(
  options: O,
  rules: { check?: (config: Parsed<O>, extra: Readonly<Record<string, string>>) => readonly Problem[]; families?: readonly RegExp[]; listed?: readonly string[]; wording?: 'kafka' | 'debezium' } = {},
): ConfigDef<O> {
  const check = rules.check ?? (() => []);
  return { options, check, families: rules.families ?? [], listed: rules.listed ?? [], wording: rules.wording ?? 'kafka' };
}

interface Common<T> {
  readonly doc: string;
  readonly group: string;
  readonly importance?: Option<T>['importance'];
  readonly displayName?: string;
  readonly width?: Option<T>['width'];
  readonly aliases?: readonly string[];
  readonly dependents?: readonly string[];
  readonly hidden?: boolean;
  readonly check?: (value: T) => string | undefined;
}
interface RequiredSpec<T> extends Common<T> { readonly required: true }
interface DefaultedSpec<T> extends Common<T> { readonly default: T }
type Spec<T> = Common<T> | RequiredSpec<T> | DefaultedSpec<T>;
type ValueOf<T, S> = S extends RequiredSpec<T> | DefaultedSpec<T> ? T : T | undefined;

function option<T, S extends Spec<T>>(type: OptionType, parse: (text: string) => T, spec: S, choices?: readonly string[]): Option<ValueOf<T, S>> {
  const fallback = 'default' in spec ? (spec as DefaultedSpec<T>).default : undefined;
  return {
    type, parse: checked(parse, spec.check), required: 'required' in spec, bounded: spec.check !== undefined, fallback,
    defaultText: fallback === undefined ? null : Array.isArray(fallback) ? fallback.join(',') : String(fallback),
    doc: spec.doc, group: spec.group, importance: spec.importance ?? 'MEDIUM', displayName: spec.displayName, width: spec.width ?? 'NONE',
    choices, aliases: spec.aliases ?? [], dependents: spec.dependents ?? [], hidden: spec.hidden ?? false,
  } as unknown as Option<ValueOf<T, S>>;
}

function checked<T>(parse: (text: string) => T, check: ((value: T) => string | undefined) | undefined): (text: string) => T {
  if (check === undefined) return parse;
  return text => {
    const value = parse(text);
    const problem = check(value);
    if (problem !== undefined) throw new Error(problem);
    return value;
  };
}

const INT_MAX = 2_147_483_647;
function wholeNumber(type: 'INT' | 'LONG' | 'SHORT', limit: number): (text: string) => number {
  return text => {
    const trimmed = text.trim();
    const value = Number(trimmed);
    if (!/^[+-]?\d+$/.test(trimmed) || !Number.isSafeInteger(value) || value > limit || value < -limit - 1) throw new Error(`Not a number of type ${type}`);
    return value;
  };
}
function truth(text: string): boolean {
  const lower = text.trim().toLowerCase();
  if (lower === 'true') return true;
  if (lower === 'false') return false;
  throw new Error('Expected value to be either true or false');
}
function listOf(text: string): readonly string[] {
  const trimmed = text.trim();
  return trimmed === '' ? [] : trimmed.split(',').map(part => part.trim());
}

export const string = <const S extends Spec<string>>(spec: S) => option<string, S>('STRING', text => text.trim(), spec);
export const int = <const S extends Spec<number>>(spec: S) => option<number, S>('INT', wholeNumber('INT', INT_MAX), spec);
export const short = <const S extends Spec<number>>(spec: S) => option<number, S>('SHORT', wholeNumber('SHORT', 32_767), spec);
/** 64-bit in Kafka; here a safe integer (milliseconds, bytes). */
export const long = <const S extends Spec<number>>(spec: S) => option<number, S>('LONG', wholeNumber('LONG', Number.MAX_SAFE_INTEGER), spec);
export const bool = <const S extends Spec<boolean>>(spec: S) => option<boolean, S>('BOOLEAN', truth, spec);
export const list = <const S extends Spec<readonly string[]>>(spec: S) => option<readonly string[], S>('LIST', listOf, spec);
/** Masked wherever it could be shown. */
export const password = <const S extends Spec<string>>(spec: S) => option<string, S>('PASSWORD', text => text.trim(), spec);
export const className = <const S extends Spec<string>>(spec: S) => option<string, S>('CLASS', text => text.trim(), spec);
/** One of a fixed set, compared without regard to case, as Debezium does; the parsed value is the declared spelling. `told`: what is said of anything else, where Kafka words it in another way. */
export const oneOf = <const C extends readonly string[], const S extends Spec<C[number]>>(choices: C, spec: S, told = `Value must be one of ${choices.join(', ')}`) =>
  option<C[number], S>('STRING', text => {
    const found = choices.find(choice => choice.toLowerCase() === text.trim().toLowerCase());
    if (found === undefined) throw new Error(told);
    return found;
  }, spec, choices);
