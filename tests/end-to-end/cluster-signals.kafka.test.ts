/** Signals to a cluster: whichever worker is asked, the one that runs the task acts; and each of them knows how far it is. */
import { expect, test } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { startKafka } from '../kit/kafka.ts';
import { openLogOn } from '../kit/kafka-log.ts';
import { startPostgres } from '../kit/postgres.ts';

test('a signal reaches the task through any worker', async () => {
  using scratch = temporaryDirectory('cluster-signals-');
  await using kafka = await startKafka();
  await using server = await startPostgres({ version: 17 });
  for (const table of ['a', 'b']) await server.sql(`CREATE TABLE ${table} (id int PRIMARY KEY); INSERT INTO ${table} SELECT generate_series(1, 300)`);
  await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: scratch.path, name: 'signals' });
  await cluster.start('one');
  await cluster.start('two');
  const config = { 'connector.class': 'postgres', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 'cdc', 'plugin.name': 'pgoutput', 'snapshot.mode': 'no_data', 'signal.poll.interval.ms': '100' };
  const json = { 'content-type': 'application/json' };
  await until('the connector to be made', async () => (await fetch(`${cluster.rest('one')}/connectors/shop/config`, { method: 'PUT', headers: json, body: JSON.stringify(config) })).ok);
  const urls = ['one', 'two'].map(name => `${cluster.rest(name)}/connectors/shop`);
  await until('the stream', async () => (await server.sql('SELECT 1 FROM pg_replication_slots WHERE active')).rowCount === 1, 120_000);
  for (const [i, url] of urls.entries()) {
    const { tasks } = await until('the progress of the task', async () => { const status = await (await fetch(`${url}/status?progress=true`)).json() as { tasks?: { progress: { next_attempt: unknown } | null }[] }; return status.tasks?.[0]?.progress != null && { tasks: status.tasks }; });
    expect(tasks[0]?.progress).toMatchObject({ id: 0, next_attempt: null });
    const answer = await fetch(`${url}/signals`, { method: 'POST', headers: json, body: JSON.stringify({ type: 'execute-snapshot', data: { 'data-collections': [`public.${i === 0 ? 'a' : 'b'}`] } }) });
    expect(answer.status).toBe(202);
  }
  await using log = await openLogOn(kafka.bootstrap);
  for (const table of ['a', 'b']) await until(`the rows of ${table}`, async () => (await log.topic(`cdc.public.${table}`)) !== undefined && (await log.range({ topic: `cdc.public.${table}`, partition: 0 })).end >= 300, 120_000);
}, 400_000);
