/** Kafka's own Java console consumer, as the witness of what lies in a topic. */
import type { KafkaCluster } from './kafka.ts';

export interface ConsumedRecord { readonly partition: number; readonly offset: number; readonly key: string | null; readonly value: string | null }

/** Everything in a topic from its start, as a `read_committed` consumer sees it; ends when nothing came for `idleMs`. */
export async function consumeAll(kafka: KafkaCluster, topic: string, { idleMs = 4_000, isolation = 'read_committed' }: { readonly idleMs?: number; readonly isolation?: 'read_committed' | 'read_uncommitted' } = {}): Promise<readonly ConsumedRecord[]> {
  const show = ['print.partition', 'print.offset', 'print.key'].flatMap(name => ['--property', `${name}=true`]);
  const text = await kafka.java('org.apache.kafka.tools.consumer.ConsoleConsumer', ['--bootstrap-server', kafka.bootstrap, '--topic', topic, '--from-beginning', '--timeout-ms', String(idleMs), '--isolation-level', isolation, ...show, '--property', 'null.literal=\u0001']);
  return text.split('\n').flatMap(line => {
    const match = /^Partition:(\d+)\tOffset:(\d+)\t([^\t]*)\t(.*)$/s.exec(line);
    if (match === null) return [];
    const [, partition, offset, key, value] = match;
    const orNull = (part: string | undefined): string | null => (part === undefined || part === '\u0001' ? null : part);
    return [{ partition: Number(partition), offset: Number(offset), key: orNull(key), value: orNull(value) }];
  });
}
