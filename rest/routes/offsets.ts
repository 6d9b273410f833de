import { stringifyExact } from '../../runtime/api/exact-json.ts';
import type { ConnectorInfo, Herder, OffsetChange } from '../../runtime/worker/herder.ts';
import { HttpError } from '../errors.ts';
import { ok, param, type Answer, type RestContext, type RestRequest, type Route } from '../route.ts';
import { readOffsets } from '../schemas/offset-requests.ts';

/** Debezium's sources do not take part in a change of offsets, and Connect says so; file sources and sinks do. */
async function done(herder: Herder, { type, config }: ConnectorInfo, verb: 'altered' | 'reset'): Promise<Answer> {
  const plugin = await herder.plugin(config['connector.class'] ?? '');
  const apart = type === 'source' && plugin.kind === 'source' && plugin.checkOffsets === undefined;
  if (!apart) return ok({ message: `The offsets for this connector have been ${verb} successfully` });
  return ok({ message: `The Connect framework-managed offsets for this connector have been ${verb} successfully. However, if this connector manages offsets externally, they will need to be manually ${verb} in the system that the connector uses.` });
}

function checkSink({ partition, offset }: OffsetChange): void {
  const { kafka_topic: topic, kafka_partition: number } = partition;
  if (topic === undefined || number === undefined) throw new HttpError(400, "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'");
  if (!/^\d+$/.test(String(number))) throw new HttpError(400, `Failed to parse the following Kafka partition value in the provided offsets: '${String(number)}'. Partition values for sink connectors need to be integers.`);
  if (offset === null) return;
  const position = offset['kafka_offset'];
  if (position === undefined) throw new HttpError(400, "The offset for a sink connector should either be null or contain the key 'kafka_offset'");
  if (!/^\d+$/.test(String(position))) throw new HttpError(400, `Failed to parse the following Kafka offset value in the provided offsets: '${String(position)}'. Offset values for sink connectors need to be integers.`);
}

async function alter(request: RestRequest, { herder }: RestContext): Promise<Answer> {
  const name = param(request, 'name');
  const changes = readOffsets(request.body);
  const info = herder.connector(name);
  if (info.type === 'sink' && herder.status(name).connector.state === 'STOPPED') changes.forEach(checkSink);
  await herder.alterOffsets(name, changes);
  return done(herder, info, 'altered');
}

/** Offsets of a connector: read, alter, reset. */
export const offsetRoutes: readonly Route[] = [
  { method: 'GET', path: '/connectors/:name/offsets', doc: 'Where a source has read to, or a sink (`kafka_topic`, `kafka_partition`, `kafka_offset`).', handle: async (request, { herder }) => {
    const offsets = await herder.offsets(param(request, 'name'));
    return { status: 200, text: stringifyExact({ offsets }), headers: { 'content-type': 'application/json' } };
  } },
  { method: 'PATCH', path: '/connectors/:name/offsets', doc: 'Changes offsets of a stopped connector: `{"offsets": [{"partition": {…}, "offset": {…}}]}`; a null offset forgets the partition.', json: true, handle: alter },
  { method: 'DELETE', path: '/connectors/:name/offsets', doc: 'Forgets all offsets of a stopped connector: a source takes a new snapshot, a sink reads its topics from the start.', handle: async (request, { herder }) => {
    const name = param(request, 'name');
    const info = herder.connector(name);
    await herder.alterOffsets(name, null);
    return done(herder, info, 'reset');
  } },
];
