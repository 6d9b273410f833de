/** What a user reads who got something wrong: the message, the code, what to do, and an exit status that is not 0. */
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { startPostgres } from '../kit/postgres.ts';
import { program, startWorker } from '../kit/worker.ts';

interface Answer { readonly status: number | null; readonly text: string }
function run(...args: string[]): Answer {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 60_000 });
  return { status, text: `${stdout}${stderr}` };
}

describe('a worker that cannot start says why', () => {
  const rows: readonly (readonly [what: string, file: string | undefined, connector: string | undefined, said: RegExp, hint: RegExp])[] = [
    ['a file that is not there', undefined, undefined, /Cannot read .*: there is no such file \[FILE_UNREADABLE\]/, /Check the path/],
    ['a line without a key', '=value\n', undefined, /worker\.properties:1: a line without a key \[PROPERTIES_SYNTAX\]/, /Write key=value/],
    ['a misspelt option', 'log.dri=/tmp/x\n', undefined, /unknown option log\.dri \[WORKER_OPTION\]/, /Did you mean log\.dir\?/],
    ['an option out of its range', 'log.dir=DIR\nlog.num.partitions=many\n', undefined, /Invalid value many for configuration log\.num\.partitions/, /Correct the worker file/],
    ['a Kafka whose name is not known', 'log.dir=DIR\nbootstrap.servers=no-such-host.invalid:9092\nrequest.timeout.ms=500\nsocket.connection.setup.timeout.ms=250\n', undefined, /host name of broker no-such-host\.invalid:9092 is not known \[KAFKA_HOST_UNKNOWN\]/, /Check bootstrap\.servers/],
    ['a login module that would have to be run', 'log.dir=DIR\nbootstrap.servers=localhost:9092\nsecurity.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=com.example.Mine required username="u" password="hush-hush";\n', undefined, /Login module com\.example\.Mine is not allowed for PLAIN \[JAAS_MODULE\]/, /no other class is ever loaded/],
    ['a connector without a name', 'log.dir=DIR\n', 'connector.class=iceberg\n', /the connector has no name \[CONNECTOR_NAME\]/, /Add name=/],
    ['an unknown connector class', 'log.dir=DIR\nlisteners=http://127.0.0.1:0\n', 'name=x\nconnector.class=no.Such\n', /Failed to find any class that implements Connector and which name matches no\.Such/, /Check connector\.class/],
    ['a missing variable', 'log.dir=DIR\nlisteners=http://127.0.0.1:0\n', 'name=x\nconnector.class=iceberg\ntopics=t\nwarehouse=${env:TRIBUTARY_ABSENT}\n', /warehouse: the environment has no variable TRIBUTARY_ABSENT/, /Set TRIBUTARY_ABSENT/],
    ['a required option that is missing', 'log.dir=DIR\nlisteners=http://127.0.0.1:0\n', 'name=x\nconnector.class=iceberg\ntopics=t\n', /Missing required configuration "warehouse" which has no default value/, /validate/],
  ];
  test.each(rows)('%s', (_what, worker, connector, said, hint) => {
    using home = temporaryDirectory();
    const file = join(home.path, 'worker.properties'), other = join(home.path, 'connector.properties');
    if (worker !== undefined) writeFileSync(file, worker.replaceAll('DIR', join(home.path, 'log')));
    if (connector !== undefined) writeFileSync(other, connector);
    const { status, text } = run('standalone', file, ...(connector === undefined ? [] : [other]));
    expect(text).toMatch(said);
    expect(text).toMatch(hint);
    expect(text).not.toMatch(/^\s+at /m);
    expect(status).toBe(1);
  });

  test('a file that is a folder, and one that this user may not read', () => {
    using home = temporaryDirectory();
    const folder = join(home.path, 'worker.properties'), secret = join(home.path, 'secret.properties');
    mkdirSync(folder);
    writeFileSync(secret, 'log.dir=x\n');
    chmodSync(secret, 0o000);
    expect(run('standalone', folder).text).toMatch(/Cannot read .*worker\.properties: it is a directory \[FILE_UNREADABLE\]/);
    // Root reads what it likes, unless it gives its capabilities away and the file is another's.
    const root = process.getuid?.() === 0;
    if (root) chownSync(secret, 65_534, 65_534);
    const [command, ...before] = root ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all', process.execPath] : [process.execPath];
    const { status, stdout, stderr } = spawnSync(command ?? '', [...before, program, 'standalone', secret], { encoding: 'utf8', timeout: 60_000 });
    expect(`${stdout}${stderr}`).toMatch(/Cannot read .*secret\.properties: permission denied \[FILE_UNREADABLE\]\nCheck the path and that this user may read it\./);
    expect(status).toBe(1);
  });

  test('a port in use', async () => {
    using home = temporaryDirectory();
    const server = createServer();
    await new Promise<void>(done => { server.listen(0, '127.0.0.1', done); });
    const { port } = server.address() as { readonly port: number };
    const file = join(home.path, 'worker.properties');
    writeFileSync(file, `log.dir=${join(home.path, 'log')}\nlisteners=http://127.0.0.1:${port}\n`);
    const { status, text } = run('standalone', file);
    server.close();
    expect(text).toContain(`127.0.0.1:${port}: the port is in use [LISTENER_IN_USE]`);
    expect(status).toBe(1);
  });

  test('a log directory in use, or one that cannot be a directory', async () => {
    using home = temporaryDirectory();
    const log = join(home.path, 'log');
    await using worker = await startWorker({ directory: home.path, properties: { 'log.dir': log }, connectors: [] });
    const second = join(home.path, 'second.properties');
    writeFileSync(second, `log.dir=${log}\nlisteners=http://127.0.0.1:0\n`);
    const { status, text } = run('standalone', second);
    expect(text).toContain(`is in use by process ${worker.pid} [LOG_IN_USE]`);
    expect(status).toBe(1);
    mkdirSync(join(home.path, 'x'));
    writeFileSync(join(home.path, 'x', 'file'), '');
    writeFileSync(second, `log.dir=${join(home.path, 'x', 'file', 'log')}\nlisteners=http://127.0.0.1:0\n`);
    expect(run('standalone', second).text).toContain('[LOG_UNREADABLE]');
  });
});

test('a wrong password fails the task with a hint and without the password; an unknown host is tried again', async () => {
  await using server = await startPostgres({ version: 17 });
  using home = temporaryDirectory();
  const source = { 'connector.class': 'postgres', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': 'not-the-password-7431', 'database.dbname': 'postgres', 'topic.prefix': 'x', 'plugin.name': 'pgoutput' };
  await using worker = await startWorker({ directory: home.path, properties: { 'log.dir': join(home.path, 'log') }, connectors: [{ ...source, name: 'password' }, { ...source, 'name': 'host', 'database.hostname': 'no-such-host.invalid' }] });
  const task = async (name: string): Promise<{ readonly state: string; readonly trace?: string }> => await (await fetch(`${worker.rest}/connectors/${name}/tasks/0/status`)).json() as { state: string };
  const failed = await until('the task to fail', async () => { const status = await task('password'); return status.state === 'FAILED' && status; });
  expect(failed.trace).toContain('password authentication failed');
  expect(failed.trace).toContain('Check database.user and database.password');
  const waiting = await until('the task to wait', async () => { const status = await task('host'); return status.state === 'RESTARTING' && status; });
  expect(waiting.trace).toMatch(/no-such-host\.invalid.* is not known[\s\S]*the next one is at /);
  expect(worker.output()).not.toContain('not-the-password-7431');
});
