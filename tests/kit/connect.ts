/** A real Kafka Connect worker (Apache's own, distributed) for a test, with the file connectors and with plugins from Maven. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './condition.ts';
import { type Coordinates, jars, java } from './jvm.ts';
import { type KafkaCluster, loggingArguments } from './kafka.ts';
import { freePort } from './postgres.ts';

export interface ConnectWorker extends AsyncDisposable {
  readonly rest: string;
  readonly workerId: string;
  stop(): Promise<void>;
}

/** Starts one over the same keys as a worker of ours; resolves when it has joined its group. */
export async function startConnect(kafka: KafkaCluster, directory: string, properties: Readonly<Record<string, string>>): Promise<ConnectWorker> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const file = join(directory, 'connect.properties');
  const all = {
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'scheduled.rebalance.max.delay.ms': '0',
    ...properties, listeners: `http://127.0.0.1:${port}`, 'rest.advertised.host.name': '127.0.0.1', 'plugin.discovery': 'hybrid_warn',
  };
  writeFileSync(file, Object.entries(all).map(([key, value]) => `${key}=${value}\n`).join(''));
  const output = join(directory, 'connect.out');
  const child: ChildProcess = spawn(java(), ['-Xmx384m', '-XX:TieredStopAtLevel=1', ...loggingArguments(kafka.version, directory), '-cp', kafka.classPath, 'org.apache.kafka.connect.cli.ConnectDistributed', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const sink = createWriteStream(output);
  child.stdout?.pipe(sink, { end: false });
  child.stderr?.pipe(sink, { end: false });
  const ended = new Promise<void>(done => child.once('exit', () => { done(); }));
  const kill = async (signal: NodeJS.Signals): Promise<void> => { if (child.exitCode === null && child.signalCode === null) { child.kill(signal); await ended; } sink.end(); };
  const rest = `http://127.0.0.1:${port}`;
  try {
    await until('Kafka Connect to join its group', async () => {
      if (child.exitCode !== null) throw new Error(`Kafka Connect ended with status ${child.exitCode}`);
      return fetch(`${rest}/health`).then(answer => answer.ok, () => false);
    }, 180_000);
  } catch (error) {
    await kill('SIGKILL');
    throw new Error(`${(error as Error).message}\n${readFileSync(output, 'utf8').slice(-4_000)}`, { cause: error });
  }
  return { rest, workerId: `127.0.0.1:${port}`, stop: () => kill('SIGTERM'), [Symbol.asyncDispose]: () => kill('SIGKILL') };
}

/**
 * A plugin's folder in `directory`, for `plugin.path`. Jackson stays out: Connect brings its own, and two of them in one class
 * loader do not go together.
 */
export function connectPlugin(directory: string, name: string, artifacts: readonly Coordinates[]): void {
  const folder = join(directory, name), source = jars(`connect-${name}-${artifacts.map(one => one.split(':').at(-1)).join('-')}`, artifacts);
  mkdirSync(folder, { recursive: true });
  for (const jar of readdirSync(source).filter(file => !file.startsWith('jackson-'))) symlinkSync(join(source, jar), join(folder, jar));
}
