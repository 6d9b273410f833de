/** Where a file was read to: `{"filename"}` → `{"position"}`, as Kafka's FileStreamSourceConnector stores it. */
import { ConfigError, DataError } from '../../../runtime/api/errors.ts';
import type { OffsetChange, PartitionOffset, SourceOffset } from '../../../runtime/api/plugin.ts';

export function partitionOf(file: string): PartitionOffset['partition'] { return { filename: file }; }

/** Byte at which the next line begins. Throws ConfigError OFFSET_INVALID for an offset that is none. */
export function positionOf(offset: SourceOffset | undefined): number {
  if (offset === undefined) return 0;
  const position = Number(offset['position']);
  if (!Number.isSafeInteger(position) || position < 0) throw new ConfigError('The stored offset of this file source has no position', { code: 'OFFSET_INVALID', hint: 'Stop the connector and reset its offsets: DELETE /connectors/NAME/offsets.' });
  return position;
}

function refused(message: string): DataError { return new DataError(message, { code: 'OFFSET_INVALID' }); }

/** Checks a change of offsets, with the words and in the order of Kafka's connector. Throws DataError OFFSET_INVALID. */
export function checkOffsets(config: Readonly<Record<string, string>>, changes: readonly OffsetChange[]): void {
  if ((config['file'] ?? '') === '') throw refused("Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used for input and offsets are not tracked.");
  for (const { partition, offset } of changes) {
    // Garbage may always be cleared away.
    if (offset === null) continue;
    const { position } = offset;
    if (position === undefined) throw refused("Offset objects should either be null or contain the key 'position'");
    if (!(typeof position === 'bigint' || (typeof position === 'number' && Number.isInteger(position)))) throw refused("The value for the 'position' key in the offset is expected to be a Long value");
    if (position < 0) throw refused("The value for the 'position' key in the offset should be a non-negative value");
    if (partition['filename'] === undefined) throw refused("Partition objects should contain the key 'filename'");
  }
}
