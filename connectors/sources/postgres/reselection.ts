/**
 * The post processor that reads columns again which an event came without (Debezium reference, "Post processors"): a
 * value that the server did not send because an update left it alone, or a null. The row is found by its key as it stands
 * now, so what is read may be newer than the event; a later event then says the same.
 */
import { DataError, FatalError, RetriableError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import { anchored } from '../capture/table-filter.ts';
import type { CapturedTable } from './captured-tables.ts';
import { NULL_VALUE, type RowImage, UNCHANGED_TOAST } from './change.ts';
import type { PostProcessor } from './config/extensions.ts';
import type { Query } from './schema.ts';
import { valuesNow } from './snapshot/unchanged-values.ts';

interface Rules { readonly wants: (column: string) => boolean; readonly unavailable: boolean; readonly nulls: boolean; readonly byEventKey: boolean; readonly fails: boolean }

export class Reselection {
  private readonly query: Query;
  private readonly rules: readonly Rules[];
  private readonly signalTable: string | undefined;
  private readonly logger: Logger;

  constructor(query: Query, processors: readonly PostProcessor[], signalTable: string | undefined, logger: Logger) {
    this.query = query; this.signalTable = signalTable; this.logger = logger;
    this.rules = processors.map(({ include, exclude, unavailable, nulls, byEventKey, fails }) => {
      const wanted = include.map(anchored), unwanted = exclude.map(anchored);
      // As Debezium has it: an include list makes an exclude list meaningless.
      return { wants: column => (wanted.length > 0 ? wanted.some(pattern => pattern.test(column)) : !unwanted.some(pattern => pattern.test(column))), unavailable, nulls, byEventKey, fails };
    });
  }

  /** Undefined when nothing is to be read. */
  apply(table: CapturedTable, image: RowImage): Promise<RowImage> | undefined {
    const { schema } = table;
    // Debezium looks a row up only when its event has a key.
    if (schema.keySchema === null || `${schema.schema}.${schema.table}` === this.signalTable) return undefined;
    const due = this.rules.filter(rule => positions(table, image, rule).length > 0);
    return due.length === 0 ? undefined : due.reduce<Promise<RowImage>>(async (before, rule) => this.read(table, await before, rule), Promise.resolve(image));
  }

  private async read(table: CapturedTable, image: RowImage, rule: Rules): Promise<RowImage> {
    const { schema, catalogue } = table;
    const name = `${schema.schema}.${schema.table}`;
    const wanted = positions(table, image, rule);
    const keys = rule.byEventKey ? schema.keyPositions : catalogue.key.map(column => schema.columns.findIndex(({ wireName }) => wireName === column));
    if (wanted.length === 0) return image;
    try {
      const found = keys.length === 0 ? undefined : await valuesNow(this.query, table, image, wanted, keys);
      if (found !== undefined) return found;
      if (rule.fails) throw new FatalError(`The row of an event of ${name} is not in its table any more, so its columns cannot be read again`, { code: 'POSTGRES_RESELECT', hint: 'Set reselect.error.handling.mode=warn: then such an event goes out as it came.' });
      this.logger.warn({ table: name }, 'row of an event is not found, its columns are not read again');
    } catch (error) {
      if (rule.fails || (error instanceof RetriableError && error.code !== 'POSTGRES_QUERY_TIMEOUT')) throw error;
      if (!(error instanceof FatalError || error instanceof RetriableError || error instanceof DataError)) throw error;
      this.logger.warn({ table: name, code: error.code, reason: error.message }, 'columns cannot be read again');
    }
    return image;
  }
}

function positions({ schema }: CapturedTable, image: RowImage, rule: Rules): number[] {
  const found: number[] = [];
  schema.columns.forEach(({ codec, wireName, schema: column }, position) => {
    if (codec === undefined) return;
    const at = image.start[position];
    // To Debezium a null in a column with a default is that default.
    const due = (at === UNCHANGED_TOAST && rule.unavailable) || (at === NULL_VALUE && rule.nulls && column.default === undefined);
    if (due && rule.wants(`${schema.schema}.${schema.table}:${wireName}`)) found.push(position);
  });
  return found;
}
