/**
 * Real Kafka brokers for a test: Apache's jars through Maven, KRaft, each node broker and controller, on free ports of
 * 127.0.0.1. Every broker has a PLAINTEXT listener; others are opened by option. Users: `alice` / `alice-secret`, and
 * `admin` / `admin-secret` for the brokers.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { jars, java } from './jvm.ts';
import { KEY_PASSWORD, type KafkaKeys, makeKafkaKeys } from './kafka-keys.ts';
import { cacheDirectory, freePort } from './postgres.ts';

export const KAFKA_VERSIONS = ['3.9.2', '4.1.2', '4.3.1'] as const;
export type KafkaVersion = (typeof KAFKA_VERSIONS)[number];
const START_MS = 120_000;
const run = promisify(execFile);

/** Security protocols besides PLAINTEXT; each becomes a listener of that name. `SSL` asks for a client certificate. */
export type SecureListener = 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';

export interface KafkaOptions {
  readonly version?: KafkaVersion;
  readonly brokers?: number;
  readonly listeners?: readonly SecureListener[];
  /** Broker properties on top of the kit's. */
  readonly settings?: Readonly<Record<string, string>>;
  /** One more plain listener per broker, on `listen`, that tells clients to come to `advertise`: a proxy that stands before it. */
  readonly proxies?: readonly { readonly listen: number; readonly advertise: number }[];
  /** The brokers' certificate is expired. */
  readonly expired?: boolean;
}

export interface KafkaBroker {
  readonly id: number;
  readonly port: number;
  start(): Promise<void>;
  /** Controlled shutdown; `kill` is SIGKILL. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
}

export interface KafkaCluster extends AsyncDisposable {
  readonly version: KafkaVersion;
  readonly id: string;
  /** `host:port,…` of the plain listeners. */
  readonly bootstrap: string;
  /** The same for a secure listener, by the name that the certificate has. */
  secure(listener: SecureListener): string;
  /** The same through the proxies. */
  readonly proxied: string;
  readonly brokers: readonly KafkaBroker[];
  readonly keys: KafkaKeys;
  readonly directory: string;
  /** Runs a Java program of Kafka (`org.apache.kafka.tools.TopicCommand`); answers its standard output. */
  java(main: string, args: readonly string[], options?: { readonly timeoutMs?: number }): Promise<string>;
  /** Jars of this Kafka (with Connect's runtime), as a class path. */
  readonly classPath: string;
}

/** Folder with the jars of a Kafka, Connect's runtime and converters included. */
export function kafkaJars(version: KafkaVersion): string {
  const logging = version.startsWith('3.') ? ['org.slf4j:slf4j-reload4j:1.7.36'] : ['org.apache.logging.log4j:log4j-slf4j-impl:2.25.4', 'org.apache.logging.log4j:log4j-1.2-api:2.25.4'];
  const own = ['kafka_2.13', 'kafka-tools', 'connect-runtime', 'connect-json', 'connect-transforms', 'connect-file'].map(name => `org.apache.kafka:${name}:${version}`);
  return jars(`kafka-${version}`, [...own, ...logging]);
}

/** JVM arguments that send a Kafka's log to standard output. */
export function loggingArguments(version: KafkaVersion, directory: string, level = 'INFO'): string[] {
  if (version.startsWith('3.')) {
    const path = join(directory, `log4j-${level}.properties`);
    if (!existsSync(path)) writeFileSync(path, `log4j.rootLogger=${level}, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n`);
    return [`-Dlog4j.configuration=file:${path}`];
  }
  const path = join(directory, `log4j2-${level}.properties`);
  if (!existsSync(path)) writeFileSync(path, `rootLogger.level=${level.toLowerCase()}\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=[%d] %p %m (%c)%n\n`);
  return [`-Dlog4j2.configurationFile=${path}`];
}

interface Node { readonly id: number; readonly directory: string; readonly port: number; readonly controller: number; readonly secure: Readonly<Record<string, number>> }

function properties(node: Node, nodes: readonly Node[], options: KafkaOptions, keys: KafkaKeys | undefined): string {
  const secure = options.listeners ?? [];
  const proxy = options.proxies?.[node.id - 1];
  const listeners = [`PLAINTEXT://127.0.0.1:${node.port}`, `CONTROLLER://127.0.0.1:${node.controller}`, ...secure.map(name => `${name}://127.0.0.1:${node.secure[name]}`), ...(proxy === undefined ? [] : [`PROXIED://127.0.0.1:${proxy.listen}`])];
  const advertised = [`PLAINTEXT://127.0.0.1:${node.port}`, ...secure.map(name => `${name}://localhost:${node.secure[name]}`), ...(proxy === undefined ? [] : [`PROXIED://127.0.0.1:${proxy.advertise}`])];
  const copies = String(Math.min(3, nodes.length)), least = nodes.length > 2 ? '2' : '1';
  const jaas = (name: string, options_ = ''): string => `org.apache.kafka.common.security.${name} required${options_};`;
  const all: Record<string, string> = {
    'process.roles': 'broker,controller', 'node.id': String(node.id), 'controller.quorum.voters': nodes.map(({ id, controller }) => `${id}@127.0.0.1:${controller}`).join(','),
    listeners: listeners.join(','), 'advertised.listeners': advertised.join(','), 'controller.listener.names': 'CONTROLLER', 'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
    'log.dirs': join(node.directory, 'data'), 'num.partitions': '1', 'default.replication.factor': copies,
    'offsets.topic.replication.factor': copies, 'offsets.topic.num.partitions': '4', 'transaction.state.log.replication.factor': copies, 'transaction.state.log.min.isr': least, 'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': copies, 'share.coordinator.state.topic.min.isr': least, 'share.coordinator.state.topic.num.partitions': '2',
    'min.insync.replicas': least, 'group.initial.rebalance.delay.ms': '0', 'num.network.threads': '2', 'num.io.threads': '4', 'log.cleaner.dedupe.buffer.size': '16777216',
    // Tests write records with timestamps of long ago, which retention would delete.
    'log.retention.ms': '-1',
    'broker.session.timeout.ms': '6000', 'log.initial.task.delay.ms': '500',
  };
  for (const name of secure) {
    const prefix = `listener.name.${name.toLowerCase()}.`;
    if (name !== 'SASL_PLAINTEXT') Object.assign(all, { [`${prefix}ssl.keystore.type`]: 'PKCS12', [`${prefix}ssl.keystore.location`]: options.expired === true ? keys?.expiredStore : keys?.brokerStore, [`${prefix}ssl.keystore.password`]: KEY_PASSWORD, [`${prefix}ssl.key.password`]: KEY_PASSWORD });
    if (name === 'SSL') Object.assign(all, { [`${prefix}ssl.client.auth`]: 'required', [`${prefix}ssl.truststore.type`]: 'PKCS12', [`${prefix}ssl.truststore.location`]: keys?.trustPkcs12, [`${prefix}ssl.truststore.password`]: KEY_PASSWORD });
    else {
      Object.assign(all, {
        [`${prefix}sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        [`${prefix}plain.sasl.jaas.config`]: jaas('plain.PlainLoginModule', ' user_alice="alice-secret" user_admin="admin-secret"'),
        [`${prefix}scram-sha-256.sasl.jaas.config`]: jaas('scram.ScramLoginModule'), [`${prefix}scram-sha-512.sasl.jaas.config`]: jaas('scram.ScramLoginModule'),
        [`${prefix}oauthbearer.sasl.jaas.config`]: jaas('oauthbearer.OAuthBearerLoginModule', ' unsecuredLoginStringClaim_sub="admin"'),
      });
    }
  }
  return Object.entries({ ...all, ...options.settings }).map(([key, value]) => `${key}=${value}\n`).join('');
}

/** Starts the cluster and answers when every broker serves. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const version = options.version ?? '4.3.1';
  const classPath = join(kafkaJars(version), '*');
  const directory = mkdtempSync(join(cacheDirectory(), 'kafka-'));
  const keys = makeKafkaKeys(join(cacheDirectory(), 'kafka-keys-2'));
  const nodes: Node[] = [];
  for (let id = 1; id <= (options.brokers ?? 1); id++) {
    const secure: Record<string, number> = {};
    for (const name of options.listeners ?? []) secure[name] = await freePort();
    nodes.push({ id, directory: join(directory, `node-${id}`), port: await freePort(), controller: await freePort(), secure });
  }
  const id = Buffer.from(`tributary-test-${process.pid}`.padEnd(16, '-').slice(-16)).toString('base64url').replace(/^-/, 'A');
  const tools = ['-Xmx192m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', ...loggingArguments(version, directory, 'ERROR'), '-cp', classPath];
  const users = (options.listeners ?? []).some(name => name.startsWith('SASL')) ? ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap(mechanism => ['alice', 'admin'].flatMap(user => ['--add-scram', `${mechanism}=[name=${user},password=${user}-secret]`])) : [];
  for (const node of nodes) {
    mkdirSync(node.directory, { recursive: true });
    writeFileSync(join(node.directory, 'server.properties'), properties(node, nodes, options, keys));
    execFileSync(java(), [...tools, 'kafka.tools.StorageTool', 'format', '-t', id, '-c', join(node.directory, 'server.properties'), ...users], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const brokers = nodes.map(node => brokerOf(node, version, classPath, directory));
  const stopAll = async (): Promise<void> => { await Promise.all(brokers.map(broker => broker.kill())); rmSync(directory, { recursive: true, force: true, maxRetries: 3 }); };
  try { await Promise.all(brokers.map(broker => broker.start())); } catch (error) { await stopAll(); throw error; }
  return {
    version, id, brokers, directory, classPath, keys,
    bootstrap: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    proxied: (options.proxies ?? []).map(({ advertise }) => `127.0.0.1:${advertise}`).join(','),
    secure: listener => nodes.map(({ secure }) => `localhost:${secure[listener]}`).join(','),
    java: async (main, args, { timeoutMs = 120_000 } = {}) => (await run(java(), [...tools, main, ...args], { timeout: timeoutMs, maxBuffer: 1 << 28, encoding: 'utf8' })).stdout,
    [Symbol.asyncDispose]: stopAll,
  };
}

function brokerOf(node: Node, version: KafkaVersion, classPath: string, shared: string): KafkaBroker {
  let child: ChildProcess | undefined;
  const log = join(node.directory, 'broker.log');
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const running = child;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise(resolve => running.once('exit', resolve));
    running.kill('SIGCONT');
    running.kill(signal);
    const late = setTimeout(() => running.kill('SIGKILL'), 30_000);
    try { await ended; } finally { clearTimeout(late); }
  };
  return {
    id: node.id, port: node.port,
    start: async () => {
      const out = openSync(log, 'w');
      const started = spawn(java(), ['-Xms96m', '-Xmx384m', '-XX:+UseG1GC', '-XX:TieredStopAtLevel=1', ...loggingArguments(version, shared), '-cp', classPath, 'kafka.Kafka', join(node.directory, 'server.properties')], { stdio: ['ignore', out, out] });
      closeSync(out);
      child = started;
      const deadline = Date.now() + START_MS;
      while (!readFileSync(log, 'utf8').includes('Kafka Server started')) {
        if (started.exitCode !== null || Date.now() > deadline) throw new Error(`Kafka ${version} did not start: ${readFileSync(log, 'utf8').slice(-3000)}`);
        await wait(100);
      }
    },
    stop: () => end('SIGTERM'), kill: () => end('SIGKILL'),
    pause: () => { child?.kill('SIGSTOP'); }, resume: () => { child?.kill('SIGCONT'); },
  };
}
