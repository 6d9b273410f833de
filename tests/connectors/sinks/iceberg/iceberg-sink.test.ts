import { icebergFormat } from '../../../../connectors/sinks/iceberg/table.ts';
import { describeTableSink } from '../tables/table-sink-suite.ts';

describeTableSink('iceberg', warehouse => icebergFormat(warehouse));
describeTableSink('iceberg format version 2', warehouse => icebergFormat(warehouse, { version: 2 }));
