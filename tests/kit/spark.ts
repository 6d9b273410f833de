/** Spark 3.5 for a test: PySpark from PyPI, Iceberg's runtime and the Kafka source from Maven, both kept in the kit's cache. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Coordinates, jars } from './jvm.ts';
import { runProgram } from './program.ts';
import { pythonEnvironment } from './python.ts';

const SPARK = '3.5.7';
const LIMIT_MS = 300_000;

/** Runs a PySpark program to its end, with `more` on its class path; throws with the end of its output when it fails or takes more than five minutes. */
export async function runSpark(script: string, environment: Readonly<Record<string, string>>, more: readonly Coordinates[] = []): Promise<string> {
  const { python } = pythonEnvironment([`pyspark==${SPARK}`]);
  const folder = jars(`spark-${SPARK}`, ['org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1', `org.apache.spark:spark-sql-kafka-0-10_2.12:${SPARK}`]);
  const wanted = /^(iceberg-spark-runtime|spark-sql-kafka|spark-token-provider-kafka|kafka-clients|commons-pool2)/;
  const added = more.length === 0 ? [] : [jars(more.join('-').replace(/[^\w.-]+/g, '-'), more)].flatMap(home => readdirSync(home).map(name => join(home, name)));
  const list = [...readdirSync(folder).filter(name => wanted.test(name)).map(name => join(folder, name)), ...added].join(',');
  const submit = `--master local[2] --driver-memory 1g --jars ${list} --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2 --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 pyspark-shell`;
  return runProgram('Spark', python, [script], { directory: dirname(script), limitMs: LIMIT_MS, environment: { PYSPARK_SUBMIT_ARGS: submit, PYSPARK_PYTHON: python, ...environment } });
}
