/** `org.apache.kafka.connect.transforms.TimestampRouter`: the record's time in the topic's name. */
import { type ConfigOf, defineConfig, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { javaDateFormat } from '../java-date-format.ts';

const group = 'Transformation';
export const timestampRouterConfig = defineConfig({
  'topic.format': string({ default: '${topic}-${timestamp}', group, importance: 'HIGH', doc: 'The new name, with ${topic} and ${timestamp}.' }),
  'timestamp.format': string({ default: 'yyyyMMdd', group, importance: 'HIGH', doc: "Format of the time, in the letters of Java's SimpleDateFormat, UTC." }),
});

export function timestampRouter(config: ConfigOf<typeof timestampRouterConfig>): Transform {
  const format = javaDateFormat(config['timestamp.format']);
  return {
    apply: record => {
      if (record.timestamp === null) throw new DataError(`Timestamp missing on record: topic ${record.topic}`, { code: 'TIMESTAMP_MISSING', hint: 'TimestampRouter needs records that have a time; those of a source mostly have none before the log gives them one.' });
      const time = format.format(record.timestamp);
      return { ...record, topic: config['topic.format'].replaceAll('${topic}', record.topic).replaceAll('${timestamp}', time) };
    },
  };
}
