import { definePlugin } from '../../../runtime/api/plugin.ts';
import { fileSourceConfig } from './config.ts';
import { checkOffsets } from './offset.ts';
import { openFileTask } from './task.ts';

/** Lines of a text file → records; the plugin that Kafka ships for trying things out. */
export const fileSource = definePlugin.source({
  names: ['org.apache.kafka.connect.file.FileStreamSourceConnector'],
  version: '4.3.1',
  taskClass: 'org.apache.kafka.connect.file.FileStreamSourceTask',
  config: fileSourceConfig,
  checkOffsets,
  // Standard input, which has no position, is what Kafka's connector says no for.
  exactlyOnce: config => (config['file'] ?? '') !== '',
  open: openFileTask,
});
