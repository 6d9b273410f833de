import { icebergFormat } from '../../../../connectors/sinks/iceberg/table.ts';
import { describeSchemaless } from '../tables/schemaless-suite.ts';

describeSchemaless('iceberg', warehouse => icebergFormat(warehouse));
