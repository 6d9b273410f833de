/** How records of one pair of schemas go into the columns of a table, and what the table lacks for them. */
import type { StructSchema } from '../../../envelopes/schema.ts';
import { FatalError } from '../../../runtime/api/errors.ts';
import { columnType, sameType, widened } from './column-types.ts';
import { isUnknown } from './inference.ts';
import type { Column, ColumnType, LakeTable } from './table.ts';
import { cellWriter } from './values.ts';

interface Source { readonly position: number; readonly write: ReturnType<typeof cellWriter> }

export interface Binding {
  readonly rowSchema: StructSchema;
  readonly keySchema: StructSchema | undefined;
  /** By column of the buffer: where in the row, else in the key; undefined = stays null. */
  readonly fromRow: readonly (Source | undefined)[];
  readonly fromKey: readonly (Source | undefined)[];
  /** By key column: where in the key struct. */
  readonly key: readonly Source[];
}

export function bind(rowSchema: StructSchema, keySchema: StructSchema | undefined, columns: readonly Column[], keyColumns: readonly Column[], placeholder: string): Binding {
  const source = (schema: StructSchema | undefined, column: Column): Source | undefined => {
    const position = schema?.fields.findIndex(field => field.name === column.name) ?? -1;
    const field = schema?.fields[position];
    return field === undefined ? undefined : { position, write: cellWriter(field.schema, column, placeholder) };
  };
  const fromRow = columns.map(column => source(rowSchema, column));
  return {
    rowSchema, keySchema, fromRow, fromKey: columns.map((column, i) => (fromRow[i] === undefined ? source(keySchema, column) : undefined)),
    key: keyColumns.flatMap(column => source(keySchema, column) ?? []),
  };
}

/** Throws FatalError when records have another key than the table was made with. */
export function checkKey(table: LakeTable, keySchema: StructSchema): void {
  const names = keySchema.fields.map(field => field.name);
  if (names.length === table.key.length && names.every(name => table.key.includes(name))) return;
  throw new FatalError(`Table ${table.name.join('.')} has the key (${table.key.join(', ')}), its records now have (${names.join(', ')})`, { code: 'KEY_CHANGED', hint: 'Write to a new table with table.name.format, or drop the table and reset the offsets of this sink.' });
}

/** Columns that the table lacks, or has in a type that is too narrow for these records. Throws FatalError for a type that cannot widen. */
export function missingColumns(table: LakeTable, rowSchema: StructSchema, keySchema: StructSchema | undefined, nearest: (type: ColumnType) => ColumnType): readonly Column[] {
  const present = new Map(table.columns.map(column => [column.name, column]));
  const fields = [...rowSchema.fields, ...(keySchema?.fields ?? []).filter(field => !rowSchema.fields.some(one => one.name === field.name))];
  return fields.flatMap(({ name, schema }): readonly Column[] => {
    if (isUnknown(schema)) return [];
    const wanted = nearest(columnType(schema));
    const column = present.get(name);
    if (column === undefined) return [{ name, type: wanted, required: false }];
    const type = wider(table, column, wanted);
    return sameType(type, column.type) ? [] : [{ ...column, type }];
  });
}

function wider(table: LakeTable, column: Column, wanted: ColumnType): ColumnType {
  const type = widened(column.type, wanted);
  if (type !== undefined) return type;
  const name = table.name.join('.');
  throw new FatalError(`Column ${column.name} of table ${name} is ${describe(column.type)} and its records now bring ${describe(wanted)}`, {
    code: 'TYPE_CHANGED', hint: `Rename the old column in the table (ALTER TABLE ${name} RENAME COLUMN ${column.name} TO ${column.name}_old) or write to a new table with table.name.format.`,
  });
}

function describe(type: ColumnType): string { return type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind; }
