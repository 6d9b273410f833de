/** Flink 1.20 for a test: its jars from Maven, run in one JVM by tests/kit/java/RunSql.java. */
import { join } from 'node:path';
import { jars, java } from './jvm.ts';
import { runProgram } from './program.ts';
import { projectRoot } from './worker.ts';

const FLINK = '1.20.1';
const LIMIT_MS = 300_000;
/** Packages that Flink's serializers reach into, as its own start scripts open them. */
const OPENED = ['java.lang', 'java.net', 'java.io', 'java.nio', 'sun.nio.ch', 'java.lang.reflect', 'java.text', 'java.time', 'java.util', 'java.util.concurrent', 'java.util.concurrent.atomic', 'java.util.concurrent.locks'];

/** Runs a script of SQL statements to its end; throws with the end of its output when it fails or takes more than five minutes. */
export async function runFlinkSql(script: string, environment: Readonly<Record<string, string>>): Promise<string> {
  const flink = ['flink-clients', 'flink-table-planner-loader', 'flink-table-runtime', 'flink-table-api-java-bridge', 'flink-connector-files', 'flink-connector-base', 'flink-json'].map(name => `org.apache.flink:${name}:${FLINK}`);
  const folder = jars(`flink-${FLINK}`, [...flink, 'org.apache.flink:flink-connector-kafka:3.4.0-1.20', 'org.apache.iceberg:iceberg-flink-runtime-1.20:1.10.1', 'org.apache.hadoop:hadoop-client-api:3.3.6', 'org.apache.hadoop:hadoop-client-runtime:3.3.6']);
  return runProgram('Flink', java(), ['-Xmx1g', ...OPENED.map(name => `--add-opens=java.base/${name}=ALL-UNNAMED`), '-cp', join(folder, '*'), join(projectRoot, 'tests/kit/java/RunSql.java'), script], { limitMs: LIMIT_MS, environment });
}
