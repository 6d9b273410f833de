/** Names that a schema language (Avro) can carry: `schema.name.adjustment.mode` and `field.name.adjustment.mode` (Debezium reference). */
export type AdjustmentMode = 'none' | 'avro' | 'avro_unicode';

const unicode = (char: string): string => [...char].map(unit => Array.from({ length: unit.length }, (_, i) => `_u${unit.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')).join('');
const underscore = (char: string): string => '_'.repeat(char.length);

/** Adjusts a dotted schema name. In the Unicode mode `_` itself is escaped, so that the way back is unique. */
export function schemaNameAdjuster(mode: AdjustmentMode): (name: string) => string {
  if (mode === 'none') return name => name;
  if (mode === 'avro') return name => name.replace(/[^A-Za-z0-9_.]/gu, underscore).replace(/^[^A-Za-z_]/, '_');
  return name => name.replace(/^[^A-Za-z]/u, unicode).replace(/(?<=.)[^A-Za-z0-9_.]|(?<!^)_(?!u[0-9a-f]{4})/gu, unicode);
}

/** Adjusts one field name; a leading digit gets an underscore before it. */
export function fieldNameAdjuster(mode: AdjustmentMode): (name: string) => string {
  if (mode === 'none') return name => name;
  if (mode === 'avro') return name => name.replace(/^(?=[0-9])/, '_').replace(/[^A-Za-z0-9_]/gu, underscore);
  return name => name.replace(/^[0-9]|[^A-Za-z0-9]/gu, unicode);
}
