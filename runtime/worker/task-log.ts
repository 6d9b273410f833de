/** The log that a task works on: the embedded one of its directory, or Kafka. */
import type { Logger } from '../api/logger.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { openKafkaLog } from '../log/kafka/kafka-log.ts';
import type { Log } from '../log/log.ts';
import { propertiesUnder } from '../api/config-parse.ts';
import type { TaskOrder } from './task-messages.ts';

export function openTaskLog({ connector, task, config, worker, logDirectory, cluster }: TaskOrder, logger: Logger): Promise<Log> {
  if (cluster === undefined) return openEmbeddedLog(logDirectory, { mode: 'writer' });
  const { offsetTopic, offsetPartitions, transactionalId } = cluster;
  return openKafkaLog({
    worker, connector: config, clientId: `connector-${connector}-${task}`, logger, offsets: { topic: offsetTopic, partitions: offsetPartitions },
    overrides: { producer: propertiesUnder('producer.override', config), consumer: propertiesUnder('consumer.override', config), admin: propertiesUnder('admin.override', config) },
    ...(transactionalId === undefined ? {} : { transactionalId: () => transactionalId }),
  });
}
