/** `topic.naming.strategy` and its options: which topic a table's records go to (Debezium reference, topic naming). */

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
  const regex = byRegex ? new RegExp(`^(?:${options.regex ?? ''})$`) : undefined;
  const replacement = javaReplacement(options.replacement ?? '');
  const field = byRegex ? options.keyField : undefined;
  return (schema, table) => {
    const plain = sanitize([prefix, ...(bySchema ? [schema] : []), table].join(delimiter));
    if (regex === undefined) return { topic: plain, keyField: undefined };
    const routed = regex.test(plain) ? sanitize(plain.replace(regex, replacement)) : '';
    const topic = routed === '' ? plain : routed;
    if (field === undefined) return { topic, keyField: undefined };
    const keyed = field.regex === undefined ? undefined : new RegExp(`^(?:${field.regex})$`);
    return { topic, keyField: { name: field.name, value: keyed?.test(plain) === true ? plain.replace(keyed, javaReplacement(field.replacement ?? '')) : plain } };
  };
}
