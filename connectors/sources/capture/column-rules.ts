/**
 * What the options say about single columns: left out, masked, hashed, cut, described. Names are `schema.table.column`,
 * matched whole and without regard to case (Debezium reference, `column.*` properties).
 */
import { createHash, getHashes } from 'node:crypto';
import { ConfigError } from '../../../runtime/api/errors.ts';
import { encodeJavaText } from './java-text.ts';
import { anchored, nameFilter } from './table-filter.ts';

/** Changes a text value; `ofNull` replaces a missing one too. `parameters` go into the field's schema. */
export interface TextRule {
  apply(text: string): string;
  /** Set where the rule reaches the values of every type that is carried as text or bytes. */
  readonly bytes?: number; readonly ofNull: string | undefined; readonly parameters: Readonly<Record<string, string>>;
}

export interface ColumnRules {
  readonly captures: (column: string) => boolean;
  /** The one rule for a column: the first that matches of those that cut, mask with asterisks, and hash. `length` is the column's declared length, -1 for none. */
  textRule(column: string, length: number): TextRule | undefined;
  /** True when the column's source type belongs into its schema. `type` is the server's type name. */
  describes(column: string, type: string): boolean;
}

export interface ColumnLists { readonly include: readonly string[]; readonly exclude: readonly string[]; readonly describedColumns: readonly string[]; readonly describedTypes: readonly string[] }

type Match = (column: string) => boolean;
const anyOf = (list: readonly string[]): Match => { const patterns = list.map(anchored); return column => patterns.some(pattern => pattern.test(column)); };
const listed = (text: string): string[] => text.split(',').map(part => part.trim()).filter(part => part !== '');

/** `families` holds the raw `column.mask.*` and `column.truncate.*` options. Throws ConfigError COLUMN_RULE. */
export function columnRules(lists: ColumnLists, families: Readonly<Record<string, string>>): ColumnRules {
  const captures = nameFilter({ include: lists.include, exclude: lists.exclude });
  const described = anyOf(lists.describedColumns), types = lists.describedTypes.map(anchored);
  const rules = Object.entries(families).flatMap(([option, text]) => {
    const make = ruleOf(option);
    return make === undefined ? [] : [{ matches: anyOf(listed(text)), make, order: option.startsWith('column.truncate') ? 0 : option.startsWith('column.mask.with') ? 1 : 2 }];
  }).sort((a, b) => a.order - b.order);
  return {
    captures,
    textRule: (column, length) => rules.find(({ matches }) => matches(column))?.make(length),
    describes: (column, type) => described(column) || (types.length > 0 && typeNames(column, type).some(name => types.some(pattern => pattern.test(name)))),
  };
}

/** `table.type`, `schema.type`, `schema.table.type` and the bare type are all ways to name a type. */
function typeNames(column: string, type: string): string[] {
  const table = column.slice(0, column.lastIndexOf('.'));
  const dot = table.indexOf('.');
  return [type, `${table}.${type}`, `${table.slice(0, dot)}.${type}`, `${table.slice(dot + 1)}.${type}`];
}

function ruleOf(option: string): ((length: number) => TextRule) | undefined {
  const mask = /^column\.mask\.with\.(\d+)\.chars$/.exec(option);
  if (mask !== null) {
    const stars = '*'.repeat(Number(mask[1]));
    return () => ({ apply: () => stars, ofNull: stars, parameters: { masked: 'true' } });
  }
  const cut = /^column\.truncate\.to\.(\d+)\.chars$/.exec(option);
  if (cut !== null) {
    const size = Number(cut[1]);
    return () => ({ apply: text => text.slice(0, size), bytes: size, ofNull: undefined, parameters: { truncateLength: String(size) } });
  }
  const hash = /^column\.mask\.hash\.(v2\.)?([^.]+)\.with\.salt\.(.+)$/.exec(option);
  if (hash === null) return undefined;
  const [, second, name = '', salt = ''] = hash;
  const algorithm = name.toLowerCase().replace(/^sha-(\d+)$/, 'sha$1');
  if (!getHashes().includes(algorithm)) throw new ConfigError(`'${option}' names no known hash algorithm`, { code: 'COLUMN_RULE', hint: 'Use SHA-256, SHA-512 or another algorithm of MessageDigest.' });
  return length => ({
    apply: text => { const digest = createHash(algorithm).update(salt).update(second === undefined ? javaString(text) : Buffer.from(text)).digest('hex'); return length > 0 ? digest.slice(0, length) : digest; },
    ofNull: undefined, parameters: { masked: 'true' },
  });
}

/** A string as Java's object serialisation writes it, which is what version 1 of the hash is over (Java Object Serialization Specification, 6.4). */
function javaString(text: string): Buffer {
  const body = encodeJavaText(text);
  const head = body.length <= 0xffff ? Buffer.alloc(7) : Buffer.alloc(13);
  head.writeUInt32BE(0xaced0005, 0);
  if (body.length <= 0xffff) { head[4] = 0x74; head.writeUInt16BE(body.length, 5); } else { head[4] = 0x7c; head.writeBigUInt64BE(BigInt(body.length), 5); }
  return Buffer.concat([head, body]);
}
