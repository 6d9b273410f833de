import { deltaFormat } from '../../../../connectors/sinks/delta/table.ts';
import { describeSchemaless } from '../tables/schemaless-suite.ts';

describeSchemaless('delta', deltaFormat);
