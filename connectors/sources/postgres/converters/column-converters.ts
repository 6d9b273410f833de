/** Custom converters: what they make of a column in place of the usual mapping (Debezium reference, "Custom converters"). */
import { STRING } from '../../../../envelopes/logical/schemas.ts';
import type { Schema } from '../../../../envelopes/schema.ts';
import { anchored } from '../../capture/table-filter.ts';
import type { ConverterSpec } from '../config/extensions.ts';
import type { ColumnCodec, TypeInfo } from '../values.ts';
import { slowWriter } from '../values/slow-writer.ts';
import { dateFormat } from './date-format.ts';

/** A codec, and whether its field may be null whatever the column says. */
export interface Converted { readonly codec: ColumnCodec; readonly optional: boolean }
/** `column` is `schema.table.column`; undefined leaves it to the next one, and in the end to the usual mapping. */
export type ColumnConverter = (column: string, type: TypeInfo) => Converted | undefined;

/** The first that takes a column has it, as in Debezium. */
export function columnConverter(specs: readonly ConverterSpec[], placeholder: string): ColumnConverter {
  const converters = specs.map(spec => (spec.kind === 'timestamp' ? timestampConverter(spec, placeholder) : textConverter(spec, placeholder)));
  return (column, type) => {
    for (const convert of converters) { const found = convert(column, type); if (found !== undefined) return found; }
    return undefined;
  };
}

function codec(schema: Schema, decode: (text: string) => string, placeholder: string): ColumnCodec {
  return { schema, decode, writeJson: slowWriter(schema, decode), placeholder };
}

/** The server's own text of columns of any type, under a schema name of choice. */
function textConverter({ selector, schemaName }: Extract<ConverterSpec, { kind: 'text' }>, placeholder: string): ColumnConverter {
  const patterns = selector.map(anchored);
  const made: Converted = { codec: codec(schemaName === undefined ? STRING : { ...STRING, name: schemaName }, text => text, placeholder), optional: false };
  return (column, type) => (patterns.some(pattern => pattern.test(column) || pattern.test(type.name)) ? made : undefined);
}

const MOMENT = /^(?:(\d{4})-(\d{2})-(\d{2}))?[ T]?(?:(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?)?/;

/** Dates, times and timestamps without zone, in a pattern of choice; digits below the millisecond are cut off. */
function timestampConverter(spec: Extract<ConverterSpec, { kind: 'timestamp' }>, placeholder: string): ColumnConverter {
  const formats: Readonly<Record<string, (at: Date) => string>> = { date: dateFormat(spec.date), time: dateFormat(spec.time), timestamp: dateFormat(spec.datetime) };
  return (_column, type) => {
    const format = formats[type.name];
    if (format === undefined) return undefined;
    const decode = (text: string): string => {
      const match = MOMENT.exec(text);
      // Infinite dates, and years with more or fewer digits, stay as the server writes them.
      if (match === null || match[0] !== text) return text;
      const [, year = '2020', month = '01', day = '01', hour = '00', minute = '00', second = '00', fraction = ''] = match;
      return format(new Date(`${year}-${month}-${day}T${hour === '24' ? '00' : hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`));
    };
    return { codec: codec(STRING, decode, placeholder), optional: true };
  };
}
