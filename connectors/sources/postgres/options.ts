/** A connector's configuration → what the encoders need of it. */
import { randomUUID } from 'node:crypto';
import type { SourceContext } from '../../../runtime/api/plugin.ts';
import { columnRules } from '../capture/column-rules.ts';
import { fieldNameAdjuster, schemaNameAdjuster } from '../../../envelopes/name-adjustment.ts';
import { anchored } from '../capture/table-filter.ts';
import type { PostgresConfig } from './config.ts';
import { converterSpecs } from './config/extensions.ts';
import { columnConverter } from './converters/column-converters.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { topicNaming } from './topics.ts';

/** `hex:` before the placeholder gives its bytes. */
function placeholder(text: string): string { return text.startsWith('hex:') ? Buffer.from(text.slice(4), 'hex').toString('utf8') : text; }

/** `schema.table:a,b;…` → which columns make the key of which tables. */
function keyColumns(text: string | undefined): EncodingOptions['keyColumns'] {
  return (text ?? '').split(';').filter(part => part.includes(':')).map(part => {
    const colon = part.lastIndexOf(':');
    return { table: anchored(part.slice(0, colon).trim()), columns: part.slice(colon + 1).split(',').map(column => anchored(column.trim())) };
  });
}

/** Once per start of the task: it draws a new run id. Throws ConfigError for rules that cannot be. */
export function encodingOptions(config: PostgresConfig, context: SourceContext, extra: Readonly<Record<string, string>>): EncodingOptions {
  const keyField = config['topic.key.enforce.uniqueness'] ? { name: config['topic.key.field.name'], regex: config['topic.key.field.regex'], replacement: config['topic.key.field.replacement'] } : undefined;
  return {
    topicPrefix: config['topic.prefix'], connectorName: context.connector, databaseName: config['database.dbname'], taskId: String(context.task), runId: randomUUID(),
    decimalMode: config['decimal.handling.mode'], timeMode: config['time.precision.mode'], binaryMode: config['binary.handling.mode'], intervalMode: config['interval.handling.mode'],
    hstoreMode: config['hstore.handling.mode'], moneyDigits: config['money.fraction.digits'], placeholder: placeholder(config['unavailable.value.placeholder']), includeUnknown: config['include.unknown.datatypes'],
    tombstones: config['tombstones.on.delete'], contextHeaders: config['extended.headers.enabled'],
    columns: columnRules({
      include: config['column.include.list'] ?? [], exclude: config['column.exclude.list'] ?? [],
      describedColumns: config['column.propagate.source.type'] ?? [], describedTypes: config['datatype.propagate.source.type'] ?? [],
    }, extra),
    keyColumns: keyColumns(config['message.key.columns']),
    schemaName: schemaNameAdjuster(config['schema.name.adjustment.mode']), fieldName: fieldNameAdjuster(config['field.name.adjustment.mode']),
    topic: topicNaming({
      prefix: config['topic.prefix'], strategy: config['topic.naming.strategy'], delimiter: config['topic.delimiter'],
      regex: config['topic.regex'], replacement: config['topic.replacement'], keyField,
    }),
    converter: columnConverter(converterSpecs(config, extra), placeholder(config['unavailable.value.placeholder'])),
    skipUnchanged: config['skip.messages.without.change'],
  };
}
