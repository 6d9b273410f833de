/** Which table a record belongs to: the option `table.name.format` (ruling 19). */
export interface NameFacts { readonly topic: string; readonly db: string | undefined; readonly schema: string | undefined; readonly table: string | undefined }

/** Compiled `table.name.format`. */
export interface TableNaming {
  /** Name parts of the table of a record with these facts. */
  name(facts: NameFacts): readonly string[];
  /** The table that a topic's records go to, where the topic alone tells it or (by Debezium's topic names) very likely tells it. */
  guess(topic: string): readonly string[] | undefined;
}

export function tableNaming(format: string): TableNaming {
  if (format === '') return { name: byDefault, guess: topic => (topic.split('.').length >= 3 ? topic.split('.').slice(-2) : undefined) };
  const fill = ({ topic, db, schema, table }: NameFacts): readonly string[] => {
    const parts: Readonly<Record<string, string | undefined>> = { topic, 'source.db': db, 'source.schema': schema, 'source.table': table };
    return format.replace(/\$\{([^}]+)\}/g, (_whole, name: string) => parts[name] ?? '').split('.').filter(part => part !== '');
  };
  const fromTopic = !/\$\{source\./.test(format);
  return { name: fill, guess: topic => (fromTopic ? fill({ topic, db: undefined, schema: undefined, table: undefined }) : undefined) };
}

function byDefault({ topic, db, schema, table }: NameFacts): readonly string[] {
  if (table === undefined) return topic.split('.').slice(-2);
  return schema !== undefined ? [schema, table] : db !== undefined ? [db, table] : [table];
}
