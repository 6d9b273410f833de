/**
 * What `converters` and `post.processors` name. In Debezium these are Java classes that a user brings along; here the
 * classes are built in that are in use with it. Options stand behind the name: `NAME.type`, `NAME.…`.
 */
import type { Problem } from '../../../../runtime/api/config.ts';
import { propertiesUnder } from '../../../../runtime/api/config-parse.ts';
import { anchored } from '../../capture/table-filter.ts';
import { dateFormat } from '../converters/date-format.ts';

type Properties = Readonly<Record<string, string>>;

/** `columns`: expressions of `schema.table:column`. */
export interface PostProcessor { readonly include: readonly string[]; readonly exclude: readonly string[]; readonly unavailable: boolean; readonly nulls: boolean; readonly byEventKey: boolean; readonly fails: boolean }
export type ConverterSpec =
  | { readonly kind: 'timestamp'; readonly date: string; readonly time: string; readonly datetime: string }
  | { readonly kind: 'text'; readonly selector: readonly string[]; readonly schemaName: string | undefined };

const RESELECT = 'io.debezium.processors.reselect.ReselectColumnsPostProcessor';
const TIMESTAMP = 'oryanmoshe.kafka.connect.util.TimestampConverter', TEXT = 'org.tributary.converters.TextConverter';
/** Formats that the timestamp converter has where none is set. */
const DATE = 'yyyy-MM-dd', TIME = 'HH:mm:ss.SSS', DATETIME = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'";

const listed = (text: string | undefined): string[] => (text ?? '').split(',').map(part => part.trim()).filter(part => part !== '');

/** A problem is told under the option that lists the names, where Debezium's own validation looks. */
class Told extends Error { readonly option: string; constructor(option: string, message: string) { super(message); this.option = option; } }
const invalid = (option: string, message: string): Told => new Told(option, `The '${option}' value is invalid: ${message}`);

/** Options of one name, each asked for once: what is left over is misspelt. */
class Own {
  private readonly listing: string;
  private readonly name: string;
  private readonly properties: Properties;
  private readonly asked = new Set<string>();
  constructor(listing: string, name: string, properties: Properties) { this.listing = listing; this.name = name; this.properties = properties; }

  invalid(key: string, message: string): Told { return invalid(this.listing, `${this.name}.${key}: ${message}`); }

  text(key: string): string | undefined { this.asked.add(key); const value = this.properties[key]?.trim(); return value === '' ? undefined : value; }
  truth(key: string, fallback: boolean): boolean {
    const text = this.text(key)?.toLowerCase();
    if (text !== undefined && text !== 'true' && text !== 'false') throw this.invalid(key, "Either 'true' or 'false' is expected");
    return text === undefined ? fallback : text === 'true';
  }
  patterns(key: string): string[] {
    const found = listed(this.text(key));
    try { for (const pattern of found) anchored(pattern); } catch { throw this.invalid(key, 'A comma-separated list of valid regular expressions is expected'); }
    return found;
  }
  /** Throws for options that nobody asked for. */
  done(): void {
    const [left] = Object.keys(this.properties).filter(key => !this.asked.has(key));
    if (left !== undefined) throw this.invalid(left, `the class knows no such option, it has ${[...this.asked].map(key => `${this.name}.${key}`).join(', ')}`);
  }
}

function each<T>(option: string, list: string | undefined, extra: Properties, make: (own: Own, type: string) => T): T[] {
  return listed(list).map(name => {
    const own = new Own(option, name, propertiesUnder(name, extra));
    const type = own.text('type');
    if (type === undefined) throw invalid(option, `'${name}' is listed, but ${name}.type does not name its class`);
    const made = make(own, type);
    own.done();
    return made;
  });
}

/** Throws an Error with an `option` for what cannot be. */
export function postProcessors(config: { readonly 'post.processors'?: string | undefined }, extra: Properties): readonly PostProcessor[] {
  return each('post.processors', config['post.processors'], extra, (own, type) => {
    if (type !== RESELECT) throw own.invalid('type', `${type} is a Java class, which cannot be loaded here; built in is ${RESELECT}`);
    const mode = (own.text('reselect.error.handling.mode') ?? 'warn').toLowerCase();
    if (mode !== 'warn' && mode !== 'fail') throw own.invalid('reselect.error.handling.mode', 'Value must be one of warn, fail');
    if (own.truth('reselect.cache.enabled', false)) throw own.invalid('reselect.cache.enabled', 'values are always read afresh here');
    return { include: own.patterns('reselect.columns.include.list'), exclude: own.patterns('reselect.columns.exclude.list'), unavailable: own.truth('reselect.unavailable.values', true), nulls: own.truth('reselect.null.values', true), byEventKey: own.truth('reselect.use.event.key', false), fails: mode === 'fail' };
  });
}

/** Throws an Error with an `option` for what cannot be. */
export function converterSpecs(config: { readonly converters?: string | undefined }, extra: Properties): readonly ConverterSpec[] {
  return each('converters', config.converters, extra, (own, type): ConverterSpec => {
    if (type === TIMESTAMP) {
      own.text('debug');
      const format = (key: string, fallback: string): string => {
        const pattern = own.text(key) ?? fallback;
        try { dateFormat(pattern); } catch (error) { throw own.invalid(key, (error as Error).message); }
        return pattern;
      };
      return { kind: 'timestamp', date: format('format.date', DATE), time: format('format.time', TIME), datetime: format('format.datetime', DATETIME) };
    }
    if (type === TEXT) {
      const selector = own.patterns('selector');
      if (selector.length === 0) throw own.invalid('selector', 'expressions of the columns (schema.table.column) or of their types are expected');
      return { kind: 'text', selector, schemaName: own.text('schema.name') };
    }
    const hint = type.startsWith('io.debezium.connector.binlog.') || type.startsWith('io.debezium.connector.mysql.') ? 'it belongs to the MySQL connector' : 'it is a Java class, which cannot be loaded here';
    throw own.invalid('type', `${type}: ${hint}; built in are ${TIMESTAMP} and ${TEXT}`);
  });
}

export function extensionProblems(config: { readonly converters?: string | undefined; readonly 'post.processors'?: string | undefined }, extra: Properties): Problem[] {
  return [() => converterSpecs(config, extra), () => postProcessors(config, extra)].flatMap(read => {
    try { read(); return []; } catch (error) { if (error instanceof Told) return [{ option: error.option, message: error.message }]; throw error; }
  });
}
