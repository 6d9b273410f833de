/** Options of the file source: those of Kafka's FileStreamSourceConnector, under the same names. */
import { type ConfigOf, defineConfig, int, string } from '../../../runtime/api/config.ts';

// Kafka puts these options into no group.
const group = '';

export const fileSourceConfig = defineConfig({
  file: string({ group, importance: 'HIGH', doc: 'Text file to read, line by line; lines that are added later are read as well.' }),
  topic: string({ required: true, group, importance: 'HIGH', doc: 'Topic that the lines go to.' }),
  'batch.size': int({ default: 2000, group, importance: 'LOW', doc: 'The most lines that go to the log in one batch.' }),
});
export type FileSourceConfig = ConfigOf<typeof fileSourceConfig>;
