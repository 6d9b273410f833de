/** `topic.naming.strategy` and its options: which topic a table's records go to (Debezium reference, topic naming). */
import { anchored } from '../capture/table-filter.ts';

export interface TopicOptions {
  readonly prefix: string;
  /** Class name of the strategy. */
  readonly strategy: string;
  readonly delimiter: string;
  readonly regex: string | undefined;
  readonly replacement: string | undefined;
  readonly keyField: { readonly name: string; readonly regex: string | undefined; readonly replacement: string | undefined } | undefined;
}

export interface TableTopic {
  readonly topic: string;
  /** Added to the key when several tables share a topic. */
  readonly keyField: { readonly name: string; readonly value: string } | undefined;
}

/** Java's `$1` and `${name}` are those of JavaScript, but for the braces. */
const javaReplacement = (text: string): string => text.replace(/\$\{(\w+)\}/g, (_, name: string) => (/^\d+$/.test(name) ? `$${name}` : `$<${name}>`));

/** Composes the naming once; answers are stable, so topics may be compared by identity. */
export function topicNaming(options: TopicOptions): (schema: string, table: string) => TableTopic {
  const { prefix, delimiter, strategy } = options;
  const unicode = /Unicode/.test(strategy);
  const bySchema = !/\.Default(Regex|Unicode)?TopicNamingStrategy$/.test(strategy);
  const sanitize = (name: string): string => (unicode
    ? name.replace(/[^a-zA-Z0-9.-]/g, char => `_u${char.charCodeAt(0).toString(16).padStart(4, '0')}`) : name.replace(/[^a-zA-Z0-9._-]/g, '_'));
  const byRegex = /Regex/.test(strategy) && options.regex !== undefined && options.replacement !== undefined;
  const regex = byRegex ? anchored(options.regex ?? '') : undefined;
  const replacement = javaReplacement(options.replacement ?? '');
  const field = byRegex ? options.keyField : undefined;
  return (schema, table) => {
    const plain = sanitize([prefix, ...(bySchema ? [schema] : []), table].join(delimiter));
    if (regex === undefined || !regex.test(plain)) return { topic: plain, keyField: undefined };
    const topic = sanitize(plain.replace(new RegExp(regex.source), replacement));
    if (field === undefined) return { topic, keyField: undefined };
    const value = field.regex === undefined ? plain : plain.replace(new RegExp(field.regex), javaReplacement(field.replacement ?? ''));
    return { topic: topic === '' ? plain : topic, keyField: { name: field.name, value } };
  };
}
