/**
 * The two engines of the comparison, each started as a process that serves Connect's REST API and writes topics whose
 * end offsets can be asked for: ours on its embedded log, the rival on a Kafka broker.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import { program } from '../../tests/kit/worker.ts';

export interface Engine {
  readonly name: string;
  /** Starts it over a connector file; the process stays in the foreground and serves REST on `port`. */
  start(directory: string, port: number, connectorFile: string): ChildProcess;
  /** Opens a view of the records in the topics; `count` gives their sum, 0 for a topic that is not there. */
  watch(directory: string, topics: readonly string[]): Promise<Watch>;
}
export interface Watch extends AsyncDisposable { count(): Promise<number> }

/** dist/main.js standalone on the embedded log in `directory`/log, JSON without schemas. */
export const ours: Engine = {
  name: 'tributary',
  start(directory, port, connectorFile) {
    const worker = join(directory, 'worker.properties');
    writeFileSync(worker, `log.dir=${join(directory, 'log')}\nlisteners=http://127.0.0.1:${port}\nkey.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\nlog.level=warn\n`);
    const output = openSync(join(directory, 'output'), 'a');
    return spawn(process.execPath, [...process.execArgv, program, 'standalone', worker, connectorFile], { stdio: ['ignore', output, output] });
  },
  async watch(directory, topics) {
    let log: Awaited<ReturnType<typeof openEmbeddedLog>> | undefined;
    return {
      async count() {
        if (log === undefined && !existsSync(join(directory, 'log', 'data.mdb'))) return 0;
        try {
          log ??= await openEmbeddedLog(join(directory, 'log'), { mode: 'reader' });
          let sum = 0;
          for (const topic of topics) sum += (await log.range({ topic, partition: 0 })).end;
          return sum;
        } catch { return 0; } // The topic or the log is not made yet.
      },
      async [Symbol.asyncDispose]() { await log?.[Symbol.asyncDispose](); },
    };
  },
};

/** `COMMAND WORKDIR RESTPORT BOOTSTRAP CONNECTOR_PROPERTIES`, which must become the engine (exec), on a broker that runs already. */
export function rival(command: readonly string[], bootstrap: string): Engine {
  return {
    name: 'rival',
    start(directory, port, connectorFile) {
      const output = openSync(join(directory, 'output'), 'a');
      return spawn(command[0] ?? '', [...command.slice(1), directory, String(port), bootstrap, connectorFile], { stdio: ['ignore', output, output] });
    },
    async watch(_directory, topics) {
      const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      const ends = new Set<string>();
      return {
        async count() {
          const known = ends.size === topics.length ? topics : (await admin.listTopics()).filter(topic => topics.includes(topic));
          for (const topic of known) ends.add(topic);
          const offsets = await Promise.all(known.map(topic => admin.fetchTopicOffsets(topic).catch(() => [])));
          return offsets.flat().reduce((sum, { high }) => sum + Number(high), 0);
        },
        async [Symbol.asyncDispose]() { await admin.disconnect(); },
      };
    },
  };
}
