/** Positions as Delta transactions: one appId for each connector, topic id, partition and epoch (ruling 17). */
import type { Token } from '../../tables/table.ts';
import type { Transaction } from './actions.ts';

const PREFIX = 'tributary';

export function encodeToken(token: Token, now: number): Transaction {
  const parts = [token.connector, token.topic, token.topicId].map(encodeURIComponent);
  return { appId: [PREFIX, ...parts, token.partition, token.epoch].join('/'), version: token.offset, lastUpdated: now };
}
/** Undefined for transactions of others. */
export function decodeToken({ appId, version }: Transaction): Token | undefined {
  const [prefix, connector, topic, topicId, partition, epoch, ...rest] = appId.split('/');
  if (prefix !== PREFIX || connector === undefined || topic === undefined || topicId === undefined || partition === undefined || epoch === undefined || rest.length > 0) return undefined;
  return { connector: decodeURIComponent(connector), topic: decodeURIComponent(topic), topicId: decodeURIComponent(topicId), partition: Number(partition), epoch: Number(epoch), offset: Number(version) };
}
