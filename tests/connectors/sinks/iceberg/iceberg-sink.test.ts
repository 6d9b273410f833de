import { icebergFormat } from '../../../../connectors/sinks/iceberg/table.ts';
import { describeTableSink } from '../tables/table-sink-suite.ts';

describeTableSink('iceberg', icebergFormat);
