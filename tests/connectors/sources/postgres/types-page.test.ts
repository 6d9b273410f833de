/** connectors/sources/postgres/TYPES.md is made from values.ts: `TRIBUTARY_UPDATE=1 npx vitest run …/types-page.test.ts` writes it anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import type { EncodingOptions } from '../../../../connectors/sources/postgres/encoding-options.ts';
import { encodingOptions } from '../../../../connectors/sources/postgres/options.ts';
import { codecFor, type TypeInfo } from '../../../../connectors/sources/postgres/values.ts';
import type { Schema } from '../../../../envelopes/schema.ts';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';

const PAGE = join(import.meta.dirname, '../../../../connectors/sources/postgres/TYPES.md');

const type = (name: string, more: Partial<TypeInfo> = {}): TypeInfo => ({ oid: 0, name, kind: 'b', element: undefined, allowed: undefined, base: undefined, ...more });
const numeric = (precision: number, scale: number): number => ((precision << 16) | scale) + 4;
const SCALARS: readonly (readonly [shown: string, name: string, typmod?: number])[] = [
  ['boolean', 'bool'], ['smallint', 'int2'], ['integer', 'int4'], ['bigint', 'int8'], ['oid', 'oid'], ['real', 'float4'], ['double precision', 'float8'], ['numeric(10,2)', 'numeric', numeric(10, 2)], ['numeric', 'numeric'], ['money', 'money'],
  ['text', 'text'], ['varchar(n)', 'varchar', 24], ['char(n)', 'bpchar', 12], ['citext', 'citext'], ['name', 'name'], ['bytea', 'bytea'], ['uuid', 'uuid'], ['json', 'json'], ['jsonb', 'jsonb'], ['xml', 'xml'],
  ['date', 'date'], ['time(3)', 'time', 3], ['time', 'time'], ['timetz', 'timetz'], ['timestamp(3)', 'timestamp', 3], ['timestamp', 'timestamp'], ['timestamptz', 'timestamptz'], ['interval', 'interval'],
  ['bit(1)', 'bit', 1], ['bit(8)', 'bit', 8], ['bit varying(10)', 'varbit', 10], ['bit varying', 'varbit'], ['inet', 'inet'], ['cidr', 'cidr'], ['macaddr', 'macaddr'], ['macaddr8', 'macaddr8'], ['point', 'point'], ['hstore', 'hstore'], ['ltree', 'ltree'], ['tsvector', 'tsvector'],
  ['int4range', 'int4range'], ['int8range', 'int8range'], ['numrange', 'numrange'], ['tsrange', 'tsrange'], ['tstzrange', 'tstzrange'], ['daterange', 'daterange'], ['line, box, circle and other geometric types', 'box'], ['tsquery', 'tsquery'], ['pg_lsn', 'pg_lsn'], ['multiranges', 'int4multirange'],
];
const MODES: readonly (readonly [option: string, values: readonly string[]])[] = [
  ['decimal.handling.mode', ['string', 'double']], ['time.precision.mode', ['adaptive_time_microseconds', 'connect', 'isostring', 'microseconds', 'nanoseconds']], ['binary.handling.mode', ['base64', 'hex']],
  ['interval.handling.mode', ['string']], ['hstore.handling.mode', ['map']], ['include.unknown.datatypes', ['true']],
];

function options(more: Readonly<Record<string, string>> = {}): EncodingOptions {
  const { config } = parseConfig(postgresConfig, { 'database.hostname': 'h', 'database.user': 'u', 'database.dbname': 'd', 'topic.prefix': 'p', ...more });
  if (config === undefined) throw new Error('the options do not parse');
  return encodingOptions(config, { connector: 'c', task: 0 } as never, {});
}

function shown(schema: Schema | undefined): string {
  if (schema === undefined) return 'left out';
  const physical = schema.type === 'array' ? `array of ${shown(schema.items)}` : schema.type === 'map' ? `map of ${shown(schema.keys)} to ${shown(schema.values)}` : schema.type;
  const parameters = Object.entries(schema.parameters ?? {}).map(([name, value]) => `${name}=${value}`).join(', ');
  return `${physical}${schema.name === undefined ? '' : ` \`${schema.name}\``}${parameters === '' ? '' : ` (${parameters})`}`;
}

function page(): string {
  const plain = options();
  const of = (name: string, typmod: number | undefined, using: EncodingOptions): string => shown(codecFor(type(name), typmod ?? -1, using)?.schema);
  const rows = SCALARS.map(([label, name, typmod]) => {
    const usual = of(name, typmod, plain);
    const others = MODES.flatMap(([option, values]) => values.flatMap(value => { const other = of(name, typmod, options({ [option]: value })); return other === usual ? [] : [`${value}: ${other}`]; }));
    const array = shown(codecFor(type(`_${name}`, { element: type(name) }), typmod ?? -1, plain)?.schema);
    return `| ${label} | ${usual} | ${others.join('; ')} | ${array === 'left out' ? 'left out' : array} |`;
  });
  const mood = type('mood', { kind: 'e', allowed: ['a', 'b'] });
  rows.push(`| enum | ${shown(codecFor(mood, -1, plain)?.schema)} |  | ${shown(codecFor(type('_mood', { element: mood }), -1, plain)?.schema)} |`, '| domain | as its base type |  | left out |');
  return `# Types of the PostgreSQL source\n\nMade from \`values.ts\`; do not edit. "Left out" means that the column is not in the record, unless \`include.unknown.datatypes=true\`.\n\n| PostgreSQL | record | with other options | its array |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

it('TYPES.md is current', () => {
  if (process.env['TRIBUTARY_UPDATE'] === '1') writeFileSync(PAGE, page());
  expect(readFileSync(PAGE, 'utf8')).toBe(page());
});
