/** Options of the file sink: those of Kafka's FileStreamSinkConnector, under the same names. */
import { type ConfigOf, defineConfig, string } from '../../../runtime/api/config.ts';

// Kafka puts its options into no group.
export const fileSinkConfig = defineConfig({
  file: string({ group: '', importance: 'HIGH', doc: 'File to append to, one record value a line; standard output when unset.' }),
});
export type FileSinkConfig = ConfigOf<typeof fileSinkConfig>;
