/** A log to look into beside whoever writes it: the embedded one of a directory, or the Kafka cluster that a worker file names. */
import type { Properties } from '../api/config-parse.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { clientConfig, clientProperties } from '../log/kafka/client-config.ts';
import { openKafkaClient } from '../log/kafka/client.ts';
import { Fetcher } from '../log/kafka/fetcher.ts';
import { consumerConfig, parsedClient } from '../log/kafka/log-config.ts';
import { Topics } from '../log/kafka/topics.ts';
import type { Log } from '../log/log.ts';

export type LogView = Pick<Log, 'topics' | 'topic' | 'range' | 'reader'> & AsyncDisposable;
/** Where the log is: a directory, or the keys of a worker file with `bootstrap.servers`. */
export type LogPlace = { readonly directory: string } | { readonly worker: Properties };

/** Changes nothing. Throws as {@link openEmbeddedLog} and {@link openKafkaClient}. */
export async function openLogView(place: LogPlace): Promise<LogView> {
  if ('directory' in place) return openEmbeddedLog(place.directory, { mode: 'reader' });
  const properties = clientProperties(place.worker, 'consumer');
  const consumer = parsedClient(consumerConfig, properties);
  const client = await openKafkaClient(clientConfig(properties, 'tributary-look'));
  const topics = new Topics(client, { creation: undefined, compression: 'none' });
  const fetcher = new Fetcher(client, {
    isolation: consumer['isolation.level'], maxWaitMs: consumer['fetch.max.wait.ms'], minBytes: consumer['fetch.min.bytes'], maxBytes: consumer['fetch.max.bytes'], partitionBytes: consumer['max.partition.fetch.bytes'],
    rack: consumer['client.rack'], onRetry: () => { /* what does not pass becomes the command's error */ },
  });
  return {
    topics: () => topics.all(), topic: name => topics.one(name), range: at => topics.range(at), reader: async (at, from) => fetcher.reader(at, from),
    [Symbol.asyncDispose]: async () => { fetcher.close(); await client[Symbol.asyncDispose](); },
  };
}
