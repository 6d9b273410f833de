/**
 * The container image: what compose.yaml and the Dockerfile name is there, and the image, really built, keeps its tables
 * equal to a real PostgreSQL, answers its health check, drains on SIGTERM, and goes on after a kill.
 */
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../runtime/api/config-parse.ts';
import { distributedConfig } from '../../runtime/cluster/distributed-config.ts';
import { readConfigFile } from '../../runtime/properties.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { startKafka } from '../kit/kafka.ts';
import { buildImage, cannotBuild, type Container, type ContainerOptions, type Image } from '../kit/image.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { freePort, type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { projectRoot } from '../kit/worker.ts';

const docker = join(projectRoot, 'docker');
const text = (path: string): string => readFileSync(join(docker, path), 'utf8');
const connectorFiles = readdirSync(join(docker, 'config', 'connectors'));

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly args: Readonly<Record<string, string>> };
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly ports: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
  readonly profiles?: readonly string[];
  readonly hostname?: string;
}

describe('the files of docker/', () => {
  const compose = parse(text('compose.yaml'), { merge: true }) as { readonly services: Readonly<Record<'postgres' | 'tributary' | 'kafka' | 'worker-1' | 'worker-2', Service>>; readonly volumes: Readonly<Record<string, unknown>> };
  const { postgres, tributary, kafka, 'worker-1': first, 'worker-2': second } = compose.services;
  const instructions = text('Dockerfile').replaceAll(/\\\n/g, ' ').split('\n').filter(line => /^[A-Z]/.test(line)).map(line => line.split(/\s+/));
  const values = (name: string): string[][] => instructions.filter(([instruction]) => instruction === name).map(([, ...rest]) => rest);

  test('every mount of compose.yaml is a file, a folder or a declared volume, and lands where the image looks', () => {
    for (const { volumes } of Object.values(compose.services)) for (const volume of volumes) {
      const [from = ''] = volume.split(':');
      if (from.startsWith('.')) expect(existsSync(join(docker, from)), from).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(from);
    }
    const declared = JSON.parse(values('VOLUME')[0]?.join(' ') ?? '[]') as string[];
    expect(tributary.volumes.map(volume => volume.split(':')[1])).toEqual(expect.arrayContaining(['/etc/tributary', ...declared]));
    expect(existsSync(join(docker, tributary.build?.context ?? '', tributary.build?.dockerfile ?? ''))).toBe(true);
  });

  test('every variable of the configuration is given, and only those that are used', () => {
    const config = connectorFiles.map(file => text(`config/connectors/${file}`)).join('\n') + text('config/worker.properties');
    const wanted = new Set([...config.matchAll(/\$\{env:(\w+)\}/g)].map(([, name]) => name));
    expect(new Set(Object.keys(tributary.environment))).toEqual(wanted);
    for (const [, name = ''] of text('postgres/shop.sql').matchAll(/\$\{(\w+):\?\}/g)) expect(postgres.environment).toHaveProperty(name);
    expect(postgres.environment['SHOP_DATABASE_PASSWORD']).toBe(tributary.environment['SHOP_DATABASE_PASSWORD']);
    expect(Object.keys(tributary.build?.args ?? {})).toEqual(values('ARG').map(([name = '']) => name.split('=')[0]));
  });

  test('the worker waits for the database, REST is published on loopback at the port that it listens on, and a stop leaves time to commit', () => {
    expect(postgres.command).toContain('wal_level=logical');
    expect(postgres.healthcheck?.test).toContain('pg_isready');
    expect(tributary.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    const port = /^listeners=http:\/\/0\.0\.0\.0:(\d+)$/m.exec(text('config/worker.properties'))?.[1];
    expect(tributary.ports).toEqual([expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:.*:${port ?? '?'}$`))]);
    expect(values('EXPOSE')).toEqual([[port]]);
    expect(Number.parseInt(tributary.stop_grace_period ?? '', 10)).toBeGreaterThan(30);
  });

  test('the profile kafka has a broker and two workers of one cluster, which differ in their names and ports alone', () => {
    expect(Object.values(compose.services).map(({ profiles }) => profiles?.join())).toEqual([undefined, undefined, 'kafka', 'kafka', 'kafka']);
    const { hostname: one, ports: [left = ''], ...rest } = first, { hostname: two, ports: [right = ''], ...same } = second;
    expect(rest).toEqual(same);
    expect([one, two]).toEqual(['worker-1', 'worker-2']);
    expect([left, right]).toEqual([expect.stringMatching(/^127\.0\.0\.1:.*8084\}:8083$/), expect.stringMatching(/^127\.0\.0\.1:.*8085\}:8083$/)]);
    expect(first).toMatchObject({ command: ['distributed'], image: tributary.image, build: tributary.build, stop_grace_period: tributary.stop_grace_period, environment: tributary.environment, depends_on: { postgres: { condition: 'service_healthy' }, kafka: { condition: 'service_healthy' } } });
    const worker = readConfigFile(join(docker, 'kafka', 'worker.properties'));
    expect(`PLAINTEXT://${worker['bootstrap.servers'] ?? ''}`).toBe(kafka.environment['KAFKA_ADVERTISED_LISTENERS']);
    expect(worker['listeners']).toBe('http://0.0.0.0:8083');
    expect(parseConfig(distributedConfig, worker)).toMatchObject({ problems: [], unknown: [] });
    for (const file of ['shop.json', 'shop-iceberg.json']) for (const [, name = ''] of text(`kafka/${file}`).matchAll(/\$\{env:(\w+)\}/g)) expect(first.environment).toHaveProperty(name);
  });

  test('the Dockerfile copies what is there and what .dockerignore lets through, and does not end as root', () => {
    const let_through = readFileSync(join(projectRoot, '.dockerignore'), 'utf8').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1));
    const copied = values('COPY').filter(args => !args.some(arg => arg.startsWith('--from'))).flatMap(args => args.filter(arg => !arg.startsWith('--')).slice(0, -1));
    expect(copied.length).toBeGreaterThan(8);
    for (const path of copied) {
      expect(existsSync(join(projectRoot, path)), path).toBe(true);
      expect(let_through, path).toContain(path);
    }
    for (const path of let_through) expect(copied, `${path} of .dockerignore is used`).toContain(path);
    expect(values('USER')).toEqual([['10001:10001']]);
    expect(values('STOPSIGNAL')).toEqual([['SIGTERM']]);
  });
});

describe('the image', () => {
  const reason = cannotBuild();
  let image: Image, server: PostgresServer;
  beforeAll(async () => {
    if (reason !== undefined) return;
    image = buildImage();
    server = await startPostgres({ version: 17 });
    await server.sql('CREATE DATABASE shop');
    const [, , ...sql] = text('postgres/shop.sql').replace(/^\\set .*$/m, '').split('\n');
    await server.sql(sql.join('\n').replace(":'password'", "'canary-7f3'"), 'shop');
  });
  afterAll(async () => { image?.[Symbol.dispose](); await server?.[Symbol.asyncDispose](); });

  /**
   * Folders for a container, with the configuration of docker/config on a free port. Iceberg's metadata has absolute
   * paths: that its tables can be read from here, their folder has the same name inside.
   */
  async function folders(home: string): Promise<{ readonly rest: string; readonly options: ContainerOptions; readonly config: string; readonly lake: string; readonly iceberg: string }> {
    const port = await freePort();
    const config = join(home, 'config'), log = join(home, 'log'), lake = join(home, 'lake'), iceberg = join(home, 'iceberg');
    chmodSync(home, 0o755);
    cpSync(join(docker, 'config'), config, { recursive: true });
    const worker = join(config, 'worker.properties');
    writeFileSync(worker, readFileSync(worker, 'utf8').replace('0.0.0.0:8083', `0.0.0.0:${port}`));
    const sink = join(config, 'connectors', 'shop-iceberg.properties');
    writeFileSync(sink, readFileSync(sink, 'utf8').replace('/srv/lake/iceberg', iceberg));
    for (const folder of [log, lake, iceberg]) { mkdirSync(folder); chownSync(folder, 10_001, 10_001); }
    return {
      config, lake, iceberg, rest: `http://127.0.0.1:${port}`,
      options: { environment: { SHOP_DATABASE_HOST: server.host, SHOP_DATABASE_PORT: String(server.port), SHOP_DATABASE_PASSWORD: 'canary-7f3' }, mounts: { [config]: '/etc/tributary:ro', [log]: '/var/lib/tributary', [lake]: '/srv/lake', [iceberg]: iceberg } },
    };
  }
  const answers = (container: Container, rest: string): Promise<true | undefined> => until('the health endpoint', async () => {
    if (!existsSync(`/proc/${container.pid}`)) throw new Error(`the container ended:\n${container.output()}`);
    return fetch(`${rest}/health`).then(({ ok }) => ok || undefined, () => undefined);
  });

  test.skipIf(reason !== undefined)(`keeps tables equal, drains on SIGTERM and goes on after a kill${reason === undefined ? '' : `: ${reason}`}`, async () => {
    using home = temporaryDirectory();
    using reader = await openLakeReader();
    const { rest, options, lake, iceberg } = await folders(home.path);
    const equal = async (): Promise<void> => {
      const expected = (await server.sql('SELECT id::text, status::text, amount::text FROM orders ORDER BY orders.id', 'shop')).rows.map(row => Object.values(row as Record<string, string>));
      for (const scan of [reader.scan('iceberg', join(iceberg, 'public/orders')), reader.scan('delta', join(lake, 'delta/public/orders'))]) {
        await until(`${scan} to equal the source`, async () => {
          const found = await reader.rows(`SELECT id::VARCHAR, status, amount::VARCHAR FROM ${scan} t ORDER BY t.id`).catch(() => []);
          return JSON.stringify(found) === JSON.stringify(expected);
        }, 120_000);
      }
    };
    await using first = await image.start(options);
    await answers(first, rest);
    expect(readFileSync(`/proc/${first.pid}/status`, 'utf8')).toMatch(/^Uid:\t10001\t10001\t10001\t10001$/m);
    expect(readFileSync(`/proc/${first.pid}/status`, 'utf8')).toMatch(/^NSpid:\t\d+\t1$/m);
    expect(first.health()).toMatchObject({ status: 0, text: expect.stringContaining('200 {"status":"healthy"') as string });
    await equal();
    expect(statSync(join(lake, 'delta')).uid).toBe(10_001);

    await using rival = await image.start(options);
    expect(await rival.ended).toBe(1);
    expect(rival.output()).toMatch(/The log directory \/var\/lib\/tributary\/log is in use by process 1 of another container \[LOG_IN_USE\]\nStop process 1 of another container/);

    first.signal('SIGKILL');
    expect(await first.ended).not.toBe(0);
    await server.sql("INSERT INTO orders (customer_id, amount) SELECT 1, i FROM generate_series(1, 500) i; UPDATE orders SET status = 'paid' WHERE id % 3 = 0; DELETE FROM orders WHERE id % 7 = 0", 'shop');
    await using second = await image.start(options);
    await answers(second, rest);
    await equal();
    await server.sql("UPDATE orders SET status = 'sent' WHERE id % 5 = 0", 'shop');
    second.signal(image.config.StopSignal as NodeJS.Signals);
    expect(await second.ended, second.output()).toBe(0);
    expect(second.output()).toContain('worker stopping');
    expect(`${first.output()}${second.output()}`).not.toContain('canary-7f3');

    await using third = await image.start(options);
    await answers(third, rest);
    await equal();
    third.signal('SIGTERM');
    expect(await third.ended).toBe(0);
  });

  test.skipIf(reason !== undefined)('is a worker of a cluster by the command `distributed`, and its tables equal the source', async () => {
    await using kafka = await startKafka();
    using home = temporaryDirectory();
    using reader = await openLakeReader();
    const { rest, options, config, iceberg } = await folders(home.path);
    writeFileSync(join(config, 'worker.properties'), text('kafka/worker.properties').replace('kafka:9092', kafka.bootstrap).replace('0.0.0.0:8083', `127.0.0.1:${new URL(rest).port}`));
    const put = async (name: string): Promise<number> => {
      const body = text(`kafka/${name}.json`).replace('/srv/lake/iceberg', iceberg);
      return (await fetch(`${rest}/connectors/${name}/config`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body })).status;
    };
    const equal = (what: string): Promise<unknown> => until(`the table to equal the source ${what}`, async () => {
      const wanted = (await server.sql('SELECT id::text, status::text FROM orders ORDER BY orders.id', 'shop')).rows.map(row => Object.values(row as Record<string, string>));
      const found = await reader.rows(`SELECT id::VARCHAR, status FROM ${reader.scan('iceberg', join(iceberg, 'public/orders'))} t ORDER BY t.id`).catch(() => []);
      return JSON.stringify(found) === JSON.stringify(wanted);
    }, 120_000);
    await using first = await image.start({ ...options, command: ['distributed'] });
    await answers(first, rest);
    expect([await put('shop'), await put('shop-iceberg')]).toEqual([201, 201]);
    await equal('after the snapshot');
    expect(first.health()).toMatchObject({ status: 0 });
    first.signal('SIGKILL');
    await first.ended;
    await server.sql("UPDATE orders SET status = 'late' WHERE id % 11 = 0", 'shop');
    await using second = await image.start({ ...options, command: ['distributed'] });
    await answers(second, rest);
    await equal('after a kill');
    second.signal('SIGTERM');
    expect(await second.ended, second.output()).toBe(0);
    // The topics hold the configurations as they were sent, with references in the place of passwords.
    const stored = (await consumeAll(kafka, 'tributary-configs', { idleMs: 2_000 })).find(({ key }) => key === 'connector-shop')?.value;
    expect(stored).toContain('${env:SHOP_DATABASE_PASSWORD}');
    expect(`${first.output()}${second.output()}${stored ?? ''}`).not.toContain('canary-7f3');
  });

  test.skipIf(reason !== undefined)('says what is wrong with a mount, and runs the other commands', async () => {
    using home = temporaryDirectory();
    const { options, config } = await folders(home.path);
    const { mounts = {} } = options;
    const refused = async (changed: ContainerOptions): Promise<string> => {
      await using container = await image.start({ ...options, ...changed });
      expect(await container.ended).toBe(1);
      return container.output();
    };
    const empty = join(home.path, 'empty');
    mkdirSync(join(empty, 'worker.properties'), { recursive: true });
    const rest = Object.fromEntries(Object.entries(mounts).slice(1));
    expect(await refused({ mounts: rest })).toMatch(/There is no worker file \/etc\/tributary\/worker\.properties \[WORKER_FILE_MISSING\]\nMount a folder/);
    expect(await refused({ mounts: { [join(config, 'connectors')]: '/etc/tributary:ro', ...rest } })).toContain(`/etc/tributary has: ${connectorFiles[0] ?? '?'}`);
    expect(await refused({ mounts: { [empty]: '/etc/tributary:ro', ...rest } })).toContain('[WORKER_FILE_DIRECTORY]');
    chmodSync(join(config, 'worker.properties'), 0o600);
    expect(await refused({})).toMatch(/cannot be read by user 10001 \[WORKER_FILE_UNREADABLE\]\nLet others read it/);
    chmodSync(join(config, 'worker.properties'), 0o644);
    chownSync(join(home.path, 'log'), 0, 0);
    expect(await refused({})).toMatch(/The log directory \/var\/lib\/tributary\/log cannot be opened.*\[LOG_UNREADABLE\]/);
    await using plugins = await image.start({ command: ['plugins'] });
    expect(await plugins.ended).toBe(0);
    expect(plugins.output()).toContain('org.tributary.iceberg.IcebergSinkConnector');
    expect(normalize(image.config.WorkingDir)).toBe('/var/lib/tributary');
    expect(image.addedBytes).toBeLessThan(160e6);
  });
});
