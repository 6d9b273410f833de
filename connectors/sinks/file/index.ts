import { definePlugin } from '../../../runtime/api/plugin.ts';
import { fileSinkConfig } from './config.ts';

/** Record values → lines of a text file; the plugin that Kafka ships for trying things out. */
export const fileSink = definePlugin.sink({
  names: ['org.apache.kafka.connect.file.FileStreamSinkConnector'],
  version: '4.3.1',
  taskClass: 'org.apache.kafka.connect.file.FileStreamSinkTask',
  config: fileSinkConfig,
  open: async config => (await import('./task.ts')).openFileSink(config),
});
